"""Releases: the shipped one, an inventory's own, and what is wrong in a file."""

import pytest
import yaml

from plugins.errors import SettingsError
from plugins.inventory.model import Role
from plugins.releases import SHIPPED, known_releases, load_release

SOUND = {
    "name": "mine",
    "platforms": [{"id": "debian", "versions": ["12"]}],
    "packages": {"master": ["ovn-central"], "linux": ["ovn-host"]},
    "kubernetes_packages": {"master": ["etcd-server"], "linux": ["containerd"]},
    "kernel_modules": ["openvswitch"],
    "requirements": {role: {"cpus": 1, "memory_mib": 512, "disk_mib": 1024} for role in ("master", "linux")},
}


def write(folder, file="mine", **parts):
    (folder / "releases").mkdir(exist_ok=True)
    (folder / "releases" / f"{file}.yaml").write_text(yaml.safe_dump(SOUND | parts))


def test_the_shipped_release_is_what_the_seed_installs_today():
    """Each role has its packages, the modules cover Geneve, the platforms are Debian's and Ubuntu's."""
    release = load_release("current", SHIPPED)
    assert set(release.packages[Role.MASTER]) == {"openvswitch-switch", "ovn-host", "ovn-central"}
    assert set(release.packages[Role.LINUX]) == {"openvswitch-switch", "ovn-host"}
    assert "vport_geneve" in release.kernel_modules
    overlay, kubernetes = (set(release.platforms_for(kubernetes=wanted)) for wanted in (False, True))
    assert {"debian 13", "ubuntu 22.04"} <= overlay
    assert "debian 13" in kubernetes
    assert kubernetes <= overlay
    assert {build.partition(".")[0] for build in release.windows_builds} == {"20348", "26100"}
    assert Role.WINDOWS in release.requirements
    assert release.requirements[Role.MASTER].memory_mib >= release.requirements[Role.LINUX].memory_mib


def test_a_release_of_the_inventory_comes_before_a_shipped_one(tmp_path):
    """A site can have releases of its own, even under a shipped name."""
    write(tmp_path)
    write(tmp_path, "current", name="current")
    assert load_release("mine", tmp_path).packages[Role.LINUX] == ("ovn-host",)
    assert load_release("current", tmp_path).kernel_modules == ("openvswitch",)
    assert known_releases(tmp_path)["current"].parent == tmp_path / "releases"


@pytest.mark.parametrize("name", ["currnet", "../hosts", "", "a/b"])
def test_an_unknown_release_is_named_with_the_known_ones(tmp_path, name):
    """Nothing outside the two folders can be named."""
    with pytest.raises(SettingsError, match=r"there is no release .*(did you mean|known releases).*current"):
        load_release(name, tmp_path)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"name": "other"}, 'name: "other" is not the file\'s name; write mine'),
        ({"packges": {}}, 'packges: unknown key; did you mean "packages"?'),
        ({"packages": {"master": ["a"]}}, "packages: nothing for the role linux; write it"),
        (
            {"packages": {"mastr": ["a"], "linux": []}},
            'packages.mastr: "mastr" is not known here; did you mean "master"?',
        ),
        ({"packages": {"master": ["a b"], "linux": []}}, 'packages.master.0: "a b" is empty or has a space'),
        ({"packages": {"master": "a", "linux": []}}, 'packages.master: expected a list, found "a"'),
        ({"platforms": []}, "platforms: nothing is in it"),
        (
            {"windows_builds": ["2022"], "windows_build": []},
            'windows_build: unknown key; did you mean "windows_builds"?',
        ),
        ({"platforms": [{"id": "debian", "versions": [12]}]}, "platforms.0.versions.0: expected text, found a number"),
        ({"requirements": {}}, "requirements: nothing for the role master and linux"),
    ],
)
def test_what_is_wrong_in_a_release_is_named(tmp_path, parts, said):
    """File and key are named, as for the inventory."""
    write(tmp_path, **parts)
    with pytest.raises(SettingsError) as caught:
        load_release("mine", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/releases/mine.yaml: {said}")


def test_a_release_that_is_no_yaml_is_named(tmp_path):
    """Syntax errors are said as for the inventory."""
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / "mine.yaml").write_text("name:\n\tmine\n")
    with pytest.raises(SettingsError, match="line 2, column 1: a tab"):
        load_release("mine", tmp_path)
