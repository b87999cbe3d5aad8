"""A lab of its own beside any other: made, mended, made bare, taken away; and nothing of it is left.

It shares the image cache of the default lab, so that only the first run on a machine builds an image.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from waiting import eventually

from plugins.errors import HostError, LockedError
from plugins.lab import (
    HostState,
    LabOptions,
    LabState,
    Power,
    down,
    fingerprint,
    full_disk,
    run_inside,
    status,
    unplugged,
    up,
)
from plugins.lab.host import HostFolder
from plugins.lab.lock import locked
from plugins.lab.options import LabPaths, default_folder
from plugins.lab.processes import children

ROOT = Path(__file__).resolve().parents[2]
BRIDGE = "labtest0"

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="a lab needs root: run this as root on Debian or Ubuntu"),
]


def rests(folder: Path, bridge: str = BRIDGE) -> list[str]:
    """Everything of a lab that is on this machine outside its folder: by bridge name, and by the folder's path."""
    found = [f"NIC {nic.name}" for nic in Path("/sys/class/net").glob(f"{bridge}*")]
    for table in ("nat", "filter"):
        rules = subprocess.run(["iptables", "-w", "-t", table, "-S"], capture_output=True, text=True, check=True).stdout
        found += [f"rule {line}" for line in rules.splitlines() if bridge in line]
    found += [f"group {place}" for place, _, _ in os.walk("/sys/fs/cgroup") if f"/{bridge}-" in place]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            mounts = (process / "mountinfo").read_text()
            # Our own command line holds the name of this file, and pytest's that of its folder.
            if process.name != str(os.getpid()) and (f"{bridge}-" in command or str(folder) in command):
                found.append(f"process {process.name}: {command}")
            if str(folder) in mounts:
                found.append(f"mount in process {process.name}")
    return found


def ip_forward() -> str:
    return Path("/proc/sys/net/ipv4/ip_forward").read_text()


def quiet(_line: str) -> None:
    """Progress is not what is tested here."""


def by_name(folder: Path) -> dict[str, HostState]:
    return {state.host.name: state for state in status(folder)}


def wait_for(folder: Path, host: str, power: Power, *, boots: int = 0, answers: bool = False) -> HostState:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        state = by_name(folder)[host]
        if state.power is power and state.boots >= boots and (state.answers or not answers):
            return state
        time.sleep(0.1)
    raise AssertionError(f"{host} is {state}")


def ssh(lab: LabState, address: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Log in as the written inventory says: the lab's key, known host keys only."""
    paths = LabPaths(lab.folder)
    options = [
        *("-F", "none", "-i", str(paths.key_file), "-o", f"UserKnownHostsFile={paths.known_hosts}"),
        *("-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"),
    ]
    return subprocess.run(
        ["ssh", *options, f"operator@{address}", *command], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> LabOptions:
    folder = tmp_path_factory.mktemp("lab")
    return LabOptions(
        folder=folder / "lab",
        inventory=folder / "inventory",
        workers=1,
        bridge=BRIDGE,
        network=IPv4Network("10.151.0.0/24"),
        images=default_folder() / "images",
    )


@pytest.fixture(scope="module")
def lab(options: LabOptions) -> Iterator[LabState]:
    """A master and a worker; when the tests are done, nothing of them is left."""
    before = ip_forward()
    assert not rests(options.folder)
    try:
        yield up(options, quiet)
    finally:
        down(options.folder, say=quiet)
    assert not rests(options.folder)
    assert ip_forward() == before
    assert [path.name for path in options.folder.iterdir()] == ["lock"]
    assert not (options.folder.parent / "inventory").exists()


def test_hosts_are_machines_of_their_own(lab: LabState) -> None:
    """Each has its own systemd without failed units, machine id, boot id, name, address and host keys."""
    states = by_name(lab.folder)
    assert {name: (state.power, state.answers, state.failed) for name, state in states.items()} == {
        "master": (Power.RUNNING, True, ()),
        "linux-1": (Power.RUNNING, True, ()),
    }
    seen = {}
    for host in lab.hosts:
        look = "hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id /etc/ssh/*.pub; cat /proc/1/comm"
        done = ssh(lab, str(host.address), look)
        assert done.returncode == 0, done.stderr
        name, machine, boot, *keys, first = done.stdout.splitlines()
        assert (name, first) == (host.name, "systemd")
        seen[host.name] = (machine, boot, *(key.split()[1] for key in keys))
    for one, other in zip(*seen.values(), strict=True):
        assert one != other


def test_the_nic_is_named_like_a_machines_and_names_resolve(lab: LabState) -> None:
    """eth0 has the address and the default route; package lists are there, and the mirror's name resolves."""
    looked = run_inside(lab.folder, "linux-1", ["ip", "-brief", "-4", "address", "show", "dev", "eth0"]).stdout
    assert "10.151.0.3/24" in looked
    assert "via 10.151.0.1 dev eth0" in run_inside(lab.folder, "linux-1", ["ip", "route"]).stdout
    sources = run_inside(lab.folder, "linux-1", ["apt-get", "indextargets", "--format", "$(SITE)"]).stdout.split()
    server = sources[0].removeprefix("http://").removeprefix("https://").split("/")[0].split(":")[0]
    assert run_inside(lab.folder, "linux-1", ["getent", "ahostsv4", server]).stdout
    assert (
        run_inside(lab.folder, "linux-1", ["apt-cache", "policy", "openvswitch-switch"]).stdout.count("Candidate") == 1
    )


def test_a_bare_host_is_bare(lab: LabState) -> None:
    """It forwards nothing and has no Open vSwitch, whatever the machine around it does."""
    assert run_inside(lab.folder, "linux-1", ["cat", "/proc/sys/net/ipv4/ip_forward"]).stdout == "0\n"
    assert run_inside(lab.folder, "linux-1", ["which", "ovs-vsctl"], check=False).returncode != 0


RUNTIME = """
    set -e
    cd /var/lib/containerd
    mkdir lower upper work both
    mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work both
    echo pod >both/file
    umount both
    findmnt --noheadings --output PROPAGATION / | grep --line-regexp shared
    test -c /dev/kmsg
    sleep 60 &
    for tree in /sys/fs/cgroup/memory /sys/fs/cgroup/pids /sys/fs/cgroup; do
        test -e $tree/cgroup.procs || continue
        mkdir $tree/lab-pod
        echo $! >$tree/lab-pod/cgroup.procs
    done
    grep --count '[:]/lab-pod$' /proc/$!/cgroup
    kill -KILL $!
    wait $! || true
    find /sys/fs/cgroup -depth -name lab-pod -exec rmdir {} +
"""


def test_a_host_can_run_containers(lab: LabState) -> None:
    """Overlays stack where images lie, mounts are shared, control groups are the host's own; no fingerprint tells."""
    before = fingerprint(lab.folder, "linux-1")
    done = run_inside(lab.folder, "linux-1", ["bash", "-c", RUNTIME])
    assert int(done.stdout.splitlines()[-1]) >= 1
    run_inside(lab.folder, "linux-1", ["sh", "-c", "echo >/var/lib/kubelet/pod; mkdir -p /var/lib/etcd/default"])
    assert fingerprint(lab.folder, "linux-1") == before


def test_up_twice_changes_nothing(lab: LabState, options: LabOptions) -> None:
    """The second time says that all is up, and no host is started again."""
    said: list[str] = []
    before = by_name(lab.folder)
    assert up(options, said.append) == lab
    assert "already up: every host runs" in said
    after = by_name(lab.folder)
    assert {name: state.since for name, state in after.items()} == {name: state.since for name, state in before.items()}


def test_a_second_command_waits_outside(lab: LabState, options: LabOptions) -> None:
    """Two commands never work on one lab."""
    with locked(lab.paths.lock, "the lab"), pytest.raises(LockedError, match=f"process {os.getpid()}"):
        up(options, quiet)


def test_a_reboot_comes_back_as_the_same_machine(lab: LabState) -> None:
    """A new boot id, the same disk, address and NIC address, without any command on the machine."""
    address = str(lab.hosts[1].address)
    look = ["sh", "-c", "cat /proc/sys/kernel/random/boot_id /sys/class/net/eth0/address"]
    run_inside(lab.folder, "linux-1", ["touch", "/etc/kept"])
    boot, nic = run_inside(lab.folder, "linux-1", look).stdout.split()
    boots = by_name(lab.folder)["linux-1"].boots
    ssh(lab, address, "sudo", "reboot")
    wait_for(lab.folder, "linux-1", Power.RUNNING, boots=boots + 1, answers=True)
    new_boot, new_nic = run_inside(lab.folder, "linux-1", look).stdout.split()
    assert (new_boot != boot, new_nic) == (True, nic)
    assert ssh(lab, address, "test", "-e", "/etc/kept").returncode == 0


def test_the_gateway_stays_the_same_whichever_hosts_boot(lab: LabState) -> None:
    """A bridge may not take over its newest port's MAC address: its other hosts would send to one that is no more."""
    bridge = lab.network.bridge
    address = Path(f"/sys/class/net/{bridge}/address")
    before, port = address.read_text(), lab.network.port(99)
    subprocess.run(["ip", "link", "add", port, "address", "00:00:00:00:00:01", "type", "veth"], check=True)
    try:
        subprocess.run(["ip", "link", "set", port, "master", bridge], check=True)
        assert address.read_text() == before
    finally:
        subprocess.run(["ip", "link", "delete", port], check=True)
    assert address.read_text() == before


def test_a_host_that_powers_off_stays_off_until_up(lab: LabState, options: LabOptions) -> None:
    """Its disk is kept; commands inside it say that it is off."""
    run_inside(lab.folder, "linux-1", ["systemctl", "poweroff"], check=False)
    wait_for(lab.folder, "linux-1", Power.OFF)
    with pytest.raises(HostError, match="not running"):
        run_inside(lab.folder, "linux-1", ["true"])
    up(options, quiet)
    assert run_inside(lab.folder, "linux-1", ["ls", "/etc/kept"]).stdout == "/etc/kept\n"


def test_a_slow_boot_is_waited_for_without_asking_its_sshd(lab: LabState, options: LabOptions) -> None:
    """An sshd turns away, for 15 s at the least, whoever asked for its greeting some 15 times without a login."""
    unit = "[Service]\nType=oneshot\nExecStart=/bin/sleep 4\n[Install]\nWantedBy=multi-user.target\n"
    run_inside(lab.folder, "linux-1", ["sh", "-c", "cat >/etc/systemd/system/slow.service"], text=unit)
    run_inside(lab.folder, "linux-1", ["systemctl", "enable", "slow.service"])
    lab.host_folder(lab.hosts[1]).kill()
    up(options, quiet)
    run_inside(lab.folder, "linux-1", ["systemctl", "disable", "slow.service"])

    def asked() -> int:
        # By name: a process that is over at once may be in the journal without its unit.
        journal = run_inside(lab.folder, "linux-1", ["journalctl", "-b", "-t", "sshd", "-t", "sshd-session"]).stdout
        return sum(str(lab.network.gateway) in line for line in journal.splitlines())

    assert eventually(lambda: asked() > 0, 20)  # what was asked last is in the journal a moment later
    assert asked() < 5  # more than once only where an answer came late


def test_up_mends_what_is_broken(lab: LabState, options: LabOptions) -> None:
    """A killed supervisor, a killed container, a missing bridge and missing rules at once; disks are kept."""
    os.kill(lab.host_folder(lab.hosts[0]).read_run().supervisor, signal.SIGKILL)
    os.kill(lab.host_folder(lab.hosts[1]).read_run().nspawn, signal.SIGKILL)
    subprocess.run(["ip", "link", "delete", BRIDGE], check=True)
    for table, chain, *rule in lab.network.rules():
        subprocess.run(["iptables", "-w", "-t", table, "-D", chain, *rule], check=True)
    wait_for(lab.folder, "master", Power.OFF)
    wait_for(lab.folder, "linux-1", Power.OFF)
    up(options, quiet)
    assert all(state.up for state in status(lab.folder))
    assert run_inside(lab.folder, "linux-1", ["ls", "/etc/kept"]).stdout == "/etc/kept\n"


def test_breaking_a_host_on_purpose_is_taken_back(lab: LabState) -> None:
    """Without its cable it is up and does not answer; a full folder takes no byte; afterwards all is as before."""
    before = fingerprint(lab.folder, "linux-1")
    with unplugged(lab.folder, "linux-1"):
        state = by_name(lab.folder)["linux-1"]
        assert (state.power, state.answers) == (Power.RUNNING, False)
    with full_disk(lab.folder, "linux-1", "/var/cache/apt/archives"):
        write = run_inside(lab.folder, "linux-1", ["dd", "if=/dev/zero", "of=/var/cache/apt/archives/x"], check=False)
        assert "No space left" in write.stderr
    wait_for(lab.folder, "linux-1", Power.RUNNING, answers=True)
    assert fingerprint(lab.folder, "linux-1") == before
    run_inside(lab.folder, "linux-1", ["touch", "/etc/something"])
    assert set(fingerprint(lab.folder, "linux-1")) - set(before) == {"etc/something"}


def test_sudo_asks_when_it_is_told_to(lab: LabState, options: LabOptions) -> None:
    """The password is in a file of the lab that only root reads, and the inventory names that file."""
    address = str(lab.hosts[0].address)
    up(replace(options, sudo_password=True), quiet)
    assert ssh(lab, address, "sudo", "-n", "true").returncode != 0
    assert lab.paths.sudo_password.stat().st_mode & 0o777 == 0o600
    word = lab.paths.sudo_password.read_text().strip()
    assert (
        run_inside(lab.folder, "master", ["su", "operator", "-c", "sudo -S -p '' id -u"], text=f"{word}\n").stdout
        == "0\n"
    )
    assert str(lab.paths.sudo_password) in (lab.inventory / "defaults.yaml").read_text()
    up(replace(options, sudo_password=False), quiet)
    assert ssh(lab, address, "sudo", "-n", "id", "-u").stdout == "0\n"
    assert "password" not in (lab.inventory / "defaults.yaml").read_text()


def test_fresh_makes_hosts_bare_and_keeps_who_they_are(lab: LabState, options: LabOptions) -> None:
    """What was written is gone; host keys and machine id are the same, so known_hosts still holds."""
    machine = run_inside(lab.folder, "linux-1", ["cat", "/etc/machine-id"]).stdout
    up(replace(options, fresh=True), quiet)
    assert run_inside(lab.folder, "linux-1", ["ls", "/etc/kept"], check=False).returncode != 0
    assert run_inside(lab.folder, "linux-1", ["ls", "/var/lib/kubelet", "/var/lib/containerd"]).stdout.count("\n") == 3
    assert run_inside(lab.folder, "linux-1", ["cat", "/etc/machine-id"]).stdout == machine
    assert ssh(lab, str(lab.hosts[1].address), "true").returncode == 0


def test_more_and_fewer_workers(lab: LabState, options: LabOptions) -> None:
    """A worker comes and goes while the others run on."""
    before = by_name(lab.folder)["master"].since
    up(replace(options, workers=2), quiet)
    assert {name for name, state in by_name(lab.folder).items() if state.up} == {"master", "linux-1", "linux-2"}
    up(replace(options, workers=1), quiet)
    assert set(by_name(lab.folder)) == {"master", "linux-1"}
    assert not lab.paths.host("linux-2").exists()
    assert by_name(lab.folder)["master"].since == before


def test_a_host_that_does_not_come_up_is_shown_with_its_console(lab: LabState, options: LabOptions) -> None:
    """The others are up; the error has the host's last words, and `up` mends it once the cause is gone."""
    run_inside(lab.folder, "linux-1", ["systemctl", "mask", "ssh.service"])
    run_inside(lab.folder, "linux-1", ["systemctl", "poweroff"], check=False)
    wait_for(lab.folder, "linux-1", Power.OFF)
    with pytest.raises(HostError) as failed:
        up(replace(options, boot_timeout=5), quiet)
    assert (failed.value.host, "ssh does not answer" in failed.value.seen) == ("linux-1", True)
    assert "Reached target" in failed.value.seen
    assert by_name(lab.folder)["master"].up
    run_inside(lab.folder, "linux-1", ["systemctl", "unmask", "ssh.service"])
    run_inside(lab.folder, "linux-1", ["systemctl", "start", "ssh.service"])
    up(options, quiet)


def test_down_takes_a_half_broken_lab_away(options: LabOptions, tmp_path: Path) -> None:
    """Its note is gone, a supervisor was killed and its container runs on: still nothing is left."""
    bridge = "labtest1"
    mine = replace(
        options,
        folder=tmp_path / "lab",
        inventory=tmp_path / "inventory",
        workers=0,
        bridge=bridge,
        network=IPv4Network("10.152.0.0/24"),
    )
    lab = up(mine, quiet)
    run = lab.host_folder(lab.hosts[0]).read_run()
    os.kill(run.supervisor, signal.SIGKILL)
    lab.paths.state.unlink()
    assert rests(mine.folder, bridge)
    down(mine.folder, say=quiet)
    down(mine.folder, say=quiet)
    assert not rests(mine.folder, bridge)


def test_a_killed_build_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    """Killed in the middle of debootstrap: no process, no mount, no image; `down --purge` takes the rest."""
    command = [sys.executable, "-m", "runbooks.lab", "up", "--folder", str(tmp_path / "lab"), "--bridge", "labtest2"]
    command += ["--network", "10.153.0.0/24", "--inventory", str(tmp_path / "inventory")]
    images = tmp_path / "lab" / "images"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert eventually(lambda: list(images.glob(".build-*/layer/debootstrap")), seconds=30)
        assert children(process.pid), "debootstrap runs"
        process.kill()

    def building() -> list[str]:  # the network was made before; that is what `down` is for
        return [rest for rest in rests(tmp_path / "lab", "labtest2") if rest.startswith(("process", "mount"))]

    assert eventually(lambda: not building(), seconds=20), building()
    assert list(images.glob(".build-*"))
    assert not list(images.glob("*-*/etc"))
    down(tmp_path / "lab", purge=True, say=quiet)
    assert not rests(tmp_path / "lab", "labtest2")
    assert not (tmp_path / "lab").exists()


def test_a_host_folder_that_is_only_half_made_is_taken_away_too(tmp_path: Path) -> None:
    """A folder without any note is no reason for `down` to stop."""
    folder = tmp_path / "lab"
    HostFolder(LabPaths(folder).host("linux-9")).path.mkdir(parents=True)
    down(folder, say=quiet)
    assert not LabPaths(folder).hosts.exists()
