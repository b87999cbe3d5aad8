"""What a lab is asked to be, and what is noted of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from plugins.artifacts.pins import load_pins, lock_file, save_pins
from plugins.errors import RunbookError, UsageError
from plugins.inventory import cluster_settings, host_settings
from plugins.inventory.validated import ValidatedInventory
from plugins.lab.host import Spec
from plugins.lab.inventory import inventory_files, remove_inventory, write_inventory
from plugins.lab.options import DEFAULT_NETWORK, LabOptions, LabPaths, default_folder, plan_hosts
from plugins.lab.state import LabState, planned, read_state, surplus, write_state
from plugins.lab.windows.disk import read_disk, windows_fingerprint, write_disk
from plugins.lab.windows.make import certificate_file, make_windows, pin_made_up
from plugins.secret import SecretSource
from plugins.simulate.files import Entry, Kind


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


def test_windows_hosts_come_after_the_workers() -> None:
    """They take the next addresses of the same network."""
    hosts = plan_hosts(1, DEFAULT_NETWORK, 2)
    assert [(host.name, host.role, str(host.address), host.windows) for host in hosts[1:]] == [
        ("linux-1", "linux", "10.142.0.3", False),
        ("windows-1", "windows", "10.142.0.4", True),
        ("windows-2", "windows", "10.142.0.5", True),
    ]


def test_a_host_that_moves_to_another_address_is_made_anew(tmp_path: Path) -> None:
    """One more worker takes the address of the Windows host, which is then surplus at its old one."""
    lab = planned(LabOptions(folder=tmp_path, workers=1, windows=1), None, "netdev")
    for host in lab.hosts:
        lab.host_folder(host).write_spec(Spec(host.name, host.number, "labbr0", ()))
    assert surplus(lab) == []
    grown = planned(LabOptions(folder=tmp_path, workers=2), lab, "netdev")
    assert (grown.windows, [folder.name for folder in surplus(grown)]) == (1, ["windows-1"])


@pytest.mark.parametrize(
    "options",
    [
        {"windows": -1},
        {"windows": 21},
        {"workers": 3, "windows": 3, "network": IPv4Network("10.9.0.0/29")},
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


def test_windows_hosts_are_reached_with_the_labs_own_password_and_ca(lab: LabState) -> None:
    """The inventory names both files, the network of their pods, and a mirror that there is not."""
    with_windows = replace(lab, windows=1)
    files = inventory_files(with_windows.hosts, lab.network, lab.paths, {"datapath": "netdev"}, sudo_password=False)
    write_inventory(lab.inventory, files)
    inventory = ValidatedInventory(lab.inventory).load()
    settings = host_settings(inventory.hosts["windows-1"])
    assert (settings.winrm.ca_file, settings.winrm.password) == (
        lab.paths.windows_ca,
        SecretSource(file=lab.paths.windows_password),
    )
    assert (settings.transport, settings.winrm.server_certificate) == ("winrm", "validate")
    assert settings.mirror == "http://mirror.simulated"
    assert str(cluster_settings(inventory).hybrid_network) == "10.245.0.0/16"


def test_what_windows_hosts_download_is_pinned_and_nothing_else(lab: LabState) -> None:
    """Pins that are there stay as they are; those of Linux hosts are for `artifacts lock` to make."""
    pin_made_up(lab.inventory)
    pins = load_pins("current", lab.inventory)
    assert all("windows" in source or source.endswith(".exe") for source in pins.files)
    assert any(source.endswith("hybrid-overlay-node.exe") for source in pins.files)
    real = dict.fromkeys(pins.files, "a" * 64)
    save_pins(pins.model_copy(update={"files": real}), lock_file("current", lab.inventory), "a test")
    pin_made_up(lab.inventory)
    assert load_pins("current", lab.inventory).files == real


def test_a_windows_hosts_disk_is_its_whole_state(lab: LabState) -> None:
    """What is read is what was written; its fingerprint changes with its files, and not with a boot."""
    with_windows = replace(lab, windows=1)
    host, folder = with_windows.hosts[-1], with_windows.host_folder(with_windows.hosts[-1])
    make_windows(with_windows, host, folder)
    state, before = read_disk(folder), windows_fingerprint(folder)
    assert (state.name, state.windows_part.prefix, state.windows_part.gateway) == ("windows-1", 20, "10.142.0.1")
    assert folder.has_disk
    assert oct(folder.windows_state.stat().st_mode & 0o777) == "0o600"
    state.boot()
    write_disk(folder, state)
    assert read_disk(folder) == state
    assert {name for name, look in windows_fingerprint(folder).items() if before[name] != look} <= {"windows services"}
    state.files.place("/c:/k/x", Entry(Kind.FILE, content="x"))
    write_disk(folder, state)
    assert "file /c:/k/x" in windows_fingerprint(folder)


def test_a_windows_hosts_certificate_outlives_its_disk(lab: LabState) -> None:
    """Made bare again it shows the same certificate, of the same CA, in files for its owner alone."""
    with_windows = replace(lab, windows=1)
    host, folder = with_windows.hosts[-1], with_windows.host_folder(with_windows.hosts[-1])
    files = (certificate_file(folder), lab.paths.windows_ca, lab.paths.windows_password)
    make_windows(with_windows, host, folder)
    before = [file.read_bytes() for file in files]
    folder.clear_disk()
    make_windows(with_windows, host, folder)
    assert [file.read_bytes() for file in files] == before
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
