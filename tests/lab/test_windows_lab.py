"""A simulated Windows host of a lab: a host like the others to whoever makes, mends, reboots and removes it.

What it does as a node stands in test_kubernetes_lab.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from operating import Cluster
from test_lab_lifecycle import by_name, quiet, rests
from waiting import eventually

from plugins.errors import HostError
from plugins.lab import LabOptions, LabState, Power, down, fingerprint, power_cycle, run_in_network, run_inside, up
from plugins.lab.options import default_folder
from plugins.lab.ready import answers_winrm

BRIDGE = "labtest8"

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="a lab needs root: run this as root on Debian or Ubuntu"),
]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> LabOptions:
    """A master, as every lab has one, and a Windows host."""
    folder = tmp_path_factory.mktemp("windows")
    return LabOptions(
        folder=folder / "lab",
        inventory=folder / "inventory",
        workers=0,
        windows=1,
        bridge=BRIDGE,
        network=IPv4Network("10.158.0.0/24"),
        images=default_folder() / "images",
    )


@pytest.fixture(scope="module")
def lab(options: LabOptions) -> Iterator[LabState]:
    """The lab; when the tests are done, nothing of it is left."""
    assert not rests(options.folder, BRIDGE)
    try:
        yield up(options, quiet)
    finally:
        down(options.folder, say=quiet)
    assert not rests(options.folder, BRIDGE)
    assert [path.name for path in options.folder.iterdir()] == ["lock"]
    assert not (options.folder.parent / "inventory").exists()


@pytest.fixture
def cluster(options: LabOptions, lab: LabState) -> Cluster:
    """The lab's operator."""
    return Cluster(options, lab, options.folder.parent)


def test_it_answers_on_winrm_alone(lab: LabState) -> None:
    """At its own address, with a certificate of the lab's CA and of no other; it has a network, and no programs."""
    state = by_name(lab.folder)["windows-1"]
    assert (state.power, state.answers, state.up) == (Power.RUNNING, True, True)
    address = state.host.address
    assert answers_winrm(address, lab.paths.windows_ca)
    assert not answers_winrm(address, Path("/etc/ssl/certs/ca-certificates.crt"))
    assert str(address) in run_in_network(lab.folder, "windows-1", ["ip", "-brief", "address"])
    with pytest.raises(HostError, match="runs no programs"):
        run_inside(lab.folder, "windows-1", ["true"])


def test_the_runbooks_reach_it(cluster: Cluster) -> None:
    """By the inventory that the lab has written: password, CA and address; and a reboot that they ask for is one."""
    ran = cluster.run("task", "preflight", "--host", "windows-1")
    assert (ran.status, ran.host("windows-1")) == (0, "ok"), ran.text
    before = by_name(cluster.lab.folder)["windows-1"].boots
    ran = cluster.run("task", "features", "--host", "windows-1")
    assert (ran.status, ran.host("windows-1")) == (0, "changed"), ran.text
    assert by_name(cluster.lab.folder)["windows-1"].boots == before + 1


def test_a_boot_keeps_the_disk_and_nothing_else(cluster: Cluster) -> None:
    """Without power, files and settings stay; the boot is another one, and devices of the network are gone."""
    folder, before = cluster.lab.folder, cluster.windows_state("windows-1")
    run_in_network(folder, "windows-1", ["ip", "link", "add", "mark", "type", "veth", "peer", "name", "mark-2"])
    look, boots = fingerprint(folder, "windows-1"), by_name(folder)["windows-1"].boots
    power_cycle(folder, "windows-1")
    assert eventually(
        lambda: by_name(folder)["windows-1"].boots == boots + 1 and by_name(folder)["windows-1"].up, seconds=30
    )
    assert cluster.windows_state("windows-1").boot_id != before.boot_id
    assert cluster.windows_state("windows-1").machine_id == before.machine_id
    assert "mark" not in run_in_network(folder, "windows-1", ["ip", "-brief", "link"])
    assert fingerprint(folder, "windows-1").keys() == look.keys()
    assert fingerprint(folder, "windows-1")["windows features"] == look["windows features"]


def test_a_killed_supervisor_leaves_nothing_behind(cluster: Cluster, options: LabOptions) -> None:
    """Its process and its NIC go at once; the next `up` starts it again from the same disk."""
    folder = cluster.lab.folder
    home = cluster.lab.host_folder(cluster.lab.hosts[-1])
    run = home.read_run()
    os.kill(run.supervisor, signal.SIGKILL)
    assert eventually(lambda: not Path(f"/proc/{run.leader}").exists(), seconds=30)
    assert eventually(lambda: f"NIC {BRIDGE}-3" not in rests(folder, BRIDGE), seconds=30)
    assert by_name(folder)["windows-1"].power is Power.OFF
    up(options, quiet)
    assert by_name(folder)["windows-1"].up
    assert cluster.windows_state("windows-1").windows_part.features["Containers"] == "Enabled"


def test_it_is_made_bare_and_moved_like_the_others(cluster: Cluster, options: LabOptions) -> None:
    """Bare it keeps its certificate; one more worker takes its address, and it is made anew at the next one."""
    folder = cluster.lab.folder
    certificate = (cluster.lab.paths.host("windows-1") / "keys" / "winrm.pem").read_bytes()
    up(replace(options, fresh=True), quiet)
    assert cluster.windows_state("windows-1").windows_part.features["Containers"] == "Disabled"
    assert (cluster.lab.paths.host("windows-1") / "keys" / "winrm.pem").read_bytes() == certificate
    moved = up(replace(options, workers=1, windows=None), quiet)
    states = by_name(folder)
    assert [(host.name, str(host.address)) for host in moved.hosts[1:]] == [
        ("linux-1", "10.158.0.3"),
        ("windows-1", "10.158.0.4"),
    ]
    assert all(state.up for state in states.values())
    gone = up(replace(options, workers=1, windows=0), quiet)
    assert [host.name for host in gone.hosts] == ["master", "linux-1"]
    assert f"NIC {BRIDGE}-4" not in rests(folder, BRIDGE)
