"""What a lab is asked to be, and what is noted of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from plugins.errors import RunbookError, UsageError
from plugins.inventory import cluster_settings, host_settings
from plugins.inventory.validated import ValidatedInventory
from plugins.lab.inventory import inventory_files, remove_inventory, write_inventory
from plugins.lab.options import DEFAULT_NETWORK, LabOptions, LabPaths, default_folder, plan_hosts
from plugins.lab.state import LabState, planned, read_state, write_state


@pytest.fixture
def lab(tmp_path: Path) -> LabState:
    options = LabOptions(folder=tmp_path / "lab", inventory=tmp_path / "inventory")
    return planned(options, None, "netdev")


def test_a_lab_is_a_master_and_workers_on_consecutive_addresses() -> None:
    """The machine has the first address, the master the second."""
    hosts = plan_hosts(2, DEFAULT_NETWORK)
    assert [(host.name, host.role, str(host.address)) for host in hosts] == [
        ("master", "master", "10.142.0.2"),
        ("linux-1", "linux", "10.142.0.3"),
        ("linux-2", "linux", "10.142.0.4"),
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"workers": -1},
        {"workers": 61},
        {"workers": 6, "network": IPv4Network("10.9.0.0/29")},
        {"folder": Path("/srv/a,b")},
        {"folder": Path("/srv/a:b")},
        {"bridge": "a-bridge"},
        {"bridge": "bridgetoolong"},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_before_anything_is_touched(options: dict[str, object]) -> None:
    """Counts, networks, folders and names are checked at once."""
    with pytest.raises(UsageError):
        LabOptions(**options).check()  # type: ignore[arg-type]


def test_the_folder_can_be_moved_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """OVN_RUNBOOKS_LAB names the lab folder; an empty one counts as none."""
    monkeypatch.setenv("OVN_RUNBOOKS_LAB", "/srv/lab")
    assert LabOptions().folder == Path("/srv/lab")
    monkeypatch.setenv("OVN_RUNBOOKS_LAB", "")
    assert default_folder() == Path("/var/lib/ovn-runbooks/lab")


def test_a_second_up_keeps_what_it_is_not_told_to_change(lab: LabState) -> None:
    """Workers, password and places stay as they are unless they are given."""
    before = replace(lab, workers=4, sudo_password=True, overlay_only=True)
    same = planned(LabOptions(folder=lab.folder), before, "netdev")
    assert same == before
    told = LabOptions(folder=lab.folder, workers=1, sudo_password=False, overlay_only=False)
    changed = planned(told, before, "netdev")
    assert changed == replace(before, workers=1, sudo_password=False, overlay_only=False)


@pytest.mark.parametrize("moved", [{"bridge": "other0"}, {"network": IPv4Network("10.9.0.0/20")}], ids=str)
def test_a_running_labs_network_is_not_moved(lab: LabState, moved: dict[str, object]) -> None:
    """Hosts have their addresses on disk: the lab has to be taken down first."""
    with pytest.raises(UsageError, match="down first"):
        planned(LabOptions(folder=lab.folder, **moved), lab, "netdev")  # type: ignore[arg-type]


def test_a_lab_is_found_as_it_was_noted(lab: LabState) -> None:
    """The note in the lab folder holds all of it and is readable by root only."""
    assert read_state(lab.folder) is None
    write_state(lab)
    assert read_state(lab.folder) == lab
    assert lab.paths.state.stat().st_mode & 0o777 == 0o600


def test_a_note_of_another_version_is_not_guessed_at(lab: LabState) -> None:
    """What is unknown is refused and not taken for an empty lab."""
    write_state(lab)
    lab.paths.state.write_text('{"version": 99}')
    with pytest.raises(RunbookError, match="another version"):
        read_state(lab.folder)


@pytest.mark.parametrize(("sudo_password", "overlay_only"), [(False, True), (True, False)])
def test_the_runbooks_accept_the_inventory(lab: LabState, *, sudo_password: bool, overlay_only: bool) -> None:
    """The written files pass the inventory's own checks, with strict host keys and the lab's key."""
    paths = LabPaths(lab.folder)
    asked = {"sudo_password": sudo_password, "overlay_only": overlay_only}
    write_inventory(lab.inventory, inventory_files(lab.hosts, lab.network, paths, {"datapath": "netdev"}, **asked))
    inventory = ValidatedInventory(folder=lab.inventory).load()
    assert set(inventory.hosts) == {"master", "linux-1", "linux-2"}
    settings = host_settings(inventory.hosts["linux-2"])
    assert (settings.role, str(settings.address), settings.datapath) == ("linux", "10.142.0.4", "netdev")
    assert (settings.ssh.host_keys, settings.ssh.key_file) == ("strict", paths.key_file)
    source = settings.sudo.password
    assert (source.file if source else None) == (paths.sudo_password if sudo_password else None)
    cluster = cluster_settings(inventory.hosts["master"])
    assert (cluster.name, cluster.kubernetes) == ("lab", not overlay_only)


def test_only_files_of_ours_are_removed(lab: LabState) -> None:
    """A file that somebody wrote over ours stays, and so does the folder."""
    write_inventory(
        lab.inventory, inventory_files(lab.hosts, lab.network, lab.paths, {"datapath": "netdev"}, sudo_password=False)
    )
    assert "password" not in (lab.inventory / "defaults.yaml").read_text()
    (lab.inventory / "hosts.yaml").write_text(yaml.safe_dump({"mine": {}}))
    remove_inventory(lab.inventory)
    assert [file.name for file in lab.inventory.iterdir()] == ["hosts.yaml"]
    (lab.inventory / "hosts.yaml").unlink()
    (lab.inventory / "releases").mkdir()
    (lab.inventory / "releases" / "current.lock.yaml").write_text("release: current\n")
    remove_inventory(lab.inventory)
    assert not lab.inventory.exists()
