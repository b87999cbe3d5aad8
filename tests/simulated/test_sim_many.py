"""Many simulated hosts at once: start, host keys, and the limits of this machine."""

from __future__ import annotations

import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from simulating import Simulate

from plugins.connections import close_shell, open_shell
from plugins.context import RunContext, attach
from plugins.errors import UnreachableError, UsageError
from plugins.inventory import host_settings
from plugins.simulate.cluster import Options, SimulatedCluster, raise_descriptor_limit


def test_thirty_new_host_keys_at_once_lose_no_line(simulated: Simulate) -> None:
    """accept-new writes one line for each host into the state folder, and the next run needs none of it anew."""
    hosts = simulated(30, host_keys="accept-new")
    names = list(hosts.nornir.inventory.hosts)
    with ThreadPoolExecutor(30) as threads:
        shells = list(threads.map(hosts.shell, names))
    assert len(shells) == 30
    lines = (hosts.context.state_folder / "known_hosts").read_text().splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(
        f"[{address}]:{port}" for address, port in hosts.listening.values()
    )
    hosts.hang_up()
    hosts.context = RunContext(hosts.context.settings, hosts.context.cluster, hosts.context.release)
    attach(hosts.nornir, hosts.context)
    hosts.shell("linux-7")
    assert (hosts.context.state_folder / "known_hosts").read_text().splitlines() == lines


def test_a_dry_run_remembers_no_host_key(simulated: Simulate) -> None:
    """A key that is accepted in a dry run is accepted for that run alone."""
    hosts = simulated(1, host_keys="accept-new")
    host = hosts.nornir.inventory.hosts["master-1"]
    context = RunContext(hosts.context.settings, hosts.context.cluster, hosts.context.release, dry_run=True)
    open_shell(host, context, again=True)
    close_shell(host)
    assert not (hosts.context.state_folder / "known_hosts").exists()


@pytest.mark.parametrize("host_keys", ["strict", "accept-new"])
def test_a_changed_host_key_is_refused(simulated: Simulate, host_keys: str) -> None:
    """A key other than the known one is refused in both modes, with both fingerprints and the file to mend."""
    hosts = simulated(2, host_keys=host_keys)
    hosts.shell("linux-1")
    hosts.hang_up()
    hosts.add_fault("linux-1:changed-host-key")
    with pytest.raises(UnreachableError, match=r"has changed: expected ssh-ed25519 SHA256:.*, got ssh-ed25") as raised:
        hosts.shell("linux-1")
    assert "ssh-keygen -R" in raised.value.todo
    hosts.clear_faults()
    hosts.shell("linux-1")


def test_an_unknown_host_key_is_refused(simulated: Simulate) -> None:
    """Strict means that a key has to be known before; the error shows the key and both ways out."""
    hosts = simulated(2)
    (hosts.folder / "known_hosts").write_text("")
    with pytest.raises(UnreachableError, match=r"is not known .ssh-ed25519 SHA256:") as raised:
        hosts.shell("linux-1")
    assert "accept-new" in raised.value.todo


def test_a_thousand_hosts_start_within_seconds() -> None:
    """Every host has an address of its own; the inventory passes all checks; the process stays small."""
    began = time.monotonic()
    with SimulatedCluster(Options(count=1000)) as hosts:
        assert time.monotonic() - began < 20
        assert len({address for address, _ in hosts.listening.values()}) == 1000
        lines = Path(f"/proc/{hosts.pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        assert int(status["VmRSS"].split()[0]) < 200_000  # KiB
        assert int(status["Threads"]) < 10
        assert hosts.state("linux-999")["address"] == "10.142.3.233"


@pytest.mark.parametrize(("count", "windows"), [(1, 0), (3, 2), (257, 0), (1000, 5)])
def test_the_inventory_passes_all_checks(simulated: Simulate, count: int, windows: int) -> None:
    """One master, the rest linux, and Windows hosts; each of them has a server."""
    hosts = simulated(count, windows)
    roles = [host_settings(host).role.value for host in hosts.nornir.inventory.hosts.values()]
    assert roles == ["master"] + ["linux"] * (count - 1) + ["windows"] * windows
    assert len(hosts.listening) == count + windows


def test_too_many_hosts_for_this_machine() -> None:
    """Where the hard limit of open files does not do, the error says how many there should be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("open files are not limited here")
    with pytest.raises(UsageError, match=rf"need \d+ open files and this process may have {hard}"):
        raise_descriptor_limit(hard)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(count=0), "at least one host"),
        (Options(count=5000), "at most 4096 hosts"),
        (Options(faults=("linux-9:fail",)), 'fault "linux-9:fail": did you mean "linux-'),
        (Options(faults=("linux-1:fial",)), 'write HOST:KIND or HOST:WHERE:KIND; did you mean "fail"'),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(options: Options, words: str) -> None:
    """Nothing is left behind by a cluster that could not be."""
    with pytest.raises(UsageError, match=words):
        SimulatedCluster(options)
