"""What the client makes of hosts that fail, hang, cut the line, go down, or print garbage."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from simulating import Simulate
from waiting import eventually

from plugins.simulate.host import Timing
from plugins.simulate.state import lasting

FILES = "".join(f"file /etc/sim/{name} 0644 root:root {name}\n" for name in "abcd")


def paths(state: dict) -> set[str]:
    """Name the test's files that a host has."""
    return {Path(path).name for path in state["files"]["entries"] if path.startswith("/etc/sim/")}


def test_a_failing_step_says_why_and_ends_the_script(simulated: Simulate) -> None:
    """The step that fails has the host's words; what comes after it is not run; its end line is there."""
    hosts = simulated(2, faults=("linux-1:install/file*c:fail:output=E: no such thing, at all,times=1",))
    said = hosts.run("linux-1", FILES, stage="install")
    assert said.statuses == ["changed", "changed", "failed"]
    assert said.steps[-1].output == "E: no such thing, at all"
    assert (said.completed.exit_status, said.transcript.ended) == (1, True)
    assert paths(hosts.state("linux-1")) == {"a", "b"}
    assert hosts.run("linux-1", FILES, stage="install").statuses == ["ok", "ok", "changed", "changed"]


def test_a_full_disk_fails_only_what_changes_something(simulated: Simulate) -> None:
    """A step that finds the host as wanted needs no space."""
    hosts = simulated(2)
    hosts.run("linux-1", "file /etc/sim/a 0644 root:root a\n")
    hosts.add_fault("linux-1:disk-full")
    said = hosts.run("linux-1", FILES)
    assert said.statuses == ["ok", "failed"]
    assert "No space left on device" in said.steps[-1].output


def test_a_step_that_hangs_is_ended_by_the_host(simulated: Simulate) -> None:
    """The deadline holds on the host, too: it ends the script with status 124 and is free for the next."""
    hosts = simulated(2, faults=("linux-1:file*b:hang:times=1",))
    began = time.monotonic()
    said = hosts.run("linux-1", FILES, deadline=1)
    assert time.monotonic() - began < 20
    assert said.completed.exit_status == 124
    assert said.transcript.running == "file /etc/sim/b"
    assert hosts.run("linux-1", FILES).statuses == ["ok", "changed", "changed", "changed"]


def test_a_script_that_hangs_before_its_first_line(simulated: Simulate) -> None:
    """Nothing is heard of it, and the host ends it all the same."""
    hosts = simulated(2, faults=("linux-1:hang",))
    said = hosts.run("linux-1", FILES, deadline=1)
    assert (said.completed.exit_status, said.steps, said.transcript.running) == (124, [], "")


@pytest.mark.parametrize(("at", "running"), [("before", ""), ("middle", "file /etc/sim/c")])
def test_the_line_is_cut_and_the_script_goes_on(simulated: Simulate, at: str, running: str) -> None:
    """The client says soon that the connection was lost; the host comes to the end of the script by itself."""
    hosts = simulated(2, faults=(f"linux-1:file*c:cut:at={at},times=1",))
    began = time.monotonic()
    said = hosts.run("linux-1", FILES)
    assert time.monotonic() - began < 20
    assert said.completed.exit_status is None
    assert "the host or the network dropped it" in said.completed.lost
    assert (said.statuses, said.transcript.running) == (["changed", "changed"], running)
    assert eventually(lambda: paths(hosts.state("linux-1")) == set("abcd"))
    hosts.hang_up()
    assert hosts.run("linux-1", FILES).statuses == ["ok"] * 4


def test_a_line_cut_while_sending_runs_nothing(simulated: Simulate) -> None:
    """A script that did not arrive whole leaves the host untouched."""
    hosts = simulated(2, faults=("linux-1:cut-sending:times=1",))
    before = lasting(hosts.state("linux-1"))
    said = hosts.run("linux-1", FILES)
    assert said.completed.exit_status is None
    assert "lost" in said.completed.lost
    assert said.completed.unsent
    assert lasting(hosts.state("linux-1")) == before
    hosts.hang_up()
    assert hosts.run("linux-1", FILES).statuses == ["changed"] * 4


def test_the_next_script_waits_for_one_that_lost_its_line(simulated: Simulate) -> None:
    """The host's lock is held to the script's end, with or without a connection; who waits says for whom."""
    hosts = simulated(2, faults=("linux-1:file*b:cut:times=1", "linux-1:file*b:hang:seconds=8,times=1"))
    assert hosts.run("linux-1", FILES, stage="first").completed.exit_status is None
    hosts.hang_up()
    said = hosts.run("linux-1", FILES, stage="second", wait=15)
    assert said.steps[0].name == "wait for tester, first"
    assert said.statuses == ["ok"] * 5


def test_waiting_for_another_script_has_an_end(simulated: Simulate) -> None:
    """A lock that is never let go fails the script with the owner's name."""
    hosts = simulated(2, faults=("linux-1:locked:owner=ann@desk, install",))
    said = hosts.run("linux-1", FILES, wait=1)
    assert said.statuses == ["failed"]
    assert said.steps[0].message == "after 1 s ann@desk, install still runs on this host"
    assert hosts.run("linux-1", FILES, dry_run=True).statuses == ["would-change"] * 4


def test_garbage_is_only_output(simulated: Simulate) -> None:
    """Control characters, invalid UTF-8, a line of 1 MB and forged step lines neither break nor fool the parser."""
    hosts = simulated(2, faults=("linux-1:garbage",))
    said = hosts.run("linux-1", FILES)
    assert said.statuses == ["changed"] * 4
    assert said.transcript.ended
    assert not said.transcript.garbled
    assert max(map(len, said.output)) >= 1024 * 1024
    assert sum("forged" in line for line in said.output) == 2 * 5
    assert not [line for line in said.output if "\x1b" in line or "\0" in line]


def test_status_0_without_a_word_is_no_success(simulated: Simulate) -> None:
    """A script that ends with status 0 and without its end line has not run."""
    hosts = simulated(2, faults=("linux-1:mute",))
    said = hosts.run("linux-1", FILES)
    assert (said.completed.exit_status, said.transcript.ended, said.steps) == (0, False, [])


def test_a_script_that_ends_in_the_middle_has_no_end_line(simulated: Simulate) -> None:
    """The remote exit status arrives as it is, with the step that was running."""
    hosts = simulated(2, faults=("linux-1:file*b:exit:status=3",))
    said = hosts.run("linux-1", FILES)
    assert (said.completed.exit_status, said.transcript.ended) == (3, False)
    assert said.transcript.running == "file /etc/sim/b"


def test_a_crash_ends_the_script_and_comes_up_with_a_new_boot(simulated: Simulate) -> None:
    """What was done stays done, what was not is not done; the lock is gone with the boot."""
    hosts = simulated(2, faults=("linux-1:file*c:crash:seconds=0.5,times=1",), timing=Timing(reboot=0.5))
    boot = hosts.state("linux-1")["boot_id"]
    assert hosts.run("linux-1", FILES).completed.exit_status is None
    hosts.hang_up()
    assert eventually(lambda: hosts.state("linux-1")["boot_id"] != boot)
    assert paths(hosts.state("linux-1")) == {"a", "b"}
    assert hosts.run("linux-1", FILES).statuses == ["ok", "ok", "changed", "changed"]


def reboot(hosts) -> None:
    """Ask linux-1 to reboot, and hang up."""
    assert hosts.run("linux-1", f"reboot_now {hosts.state('linux-1')['boot_id']}\n").statuses == ["changed"]
    assert eventually(lambda: hosts.shell("linux-1").run(b"", deadline=1, on_line=print).exit_status is None)
    hosts.hang_up()


def test_a_reboot_is_refused_connections_and_then_a_new_boot(simulated: Simulate) -> None:
    """The connection goes with the host; the same request after it changes nothing, as this is another boot."""
    hosts = simulated(2, timing=Timing(until_reboot=0.1, reboot=0.5))
    hosts.run("linux-1", "kernel_module geneve openvswitch\npackage ovn-host\n")
    before = hosts.state("linux-1")
    reboot(hosts)
    assert eventually(lambda: hosts.state("linux-1")["boot_id"] != before["boot_id"])
    rest = "kernel_module geneve openvswitch\nservice ovn-host running\n"
    said = hosts.run("linux-1", f"reboot_now {before['boot_id']}\n{rest}")
    assert said.statuses == ["ok"] * 3
    assert said.steps[0].message == "already rebooted"


def test_a_reboot_without_return(simulated: Simulate) -> None:
    """The host stays down until somebody switches it on."""
    hosts = simulated(2, faults=("linux-1:no-return",), timing=Timing(until_reboot=0.1, reboot=0.2))
    reboot(hosts)
    time.sleep(0.5)
    with pytest.raises(Exception, match="Connection refused"):
        hosts.shell("linux-1")
    hosts.power_on("linux-1")
    assert hosts.run("linux-1", FILES).transcript.ended


def test_a_reboot_that_is_none(simulated: Simulate) -> None:
    """The connection is cut and the host is there at once, in the same boot."""
    hosts = simulated(2, faults=("linux-1:no-reboot",), timing=Timing(until_reboot=0.1))
    boot = hosts.state("linux-1")["boot_id"]
    reboot(hosts)
    assert hosts.run("linux-1", FILES).transcript.ended
    assert hosts.state("linux-1")["boot_id"] == boot


def test_slow_replies_take_their_time(simulated: Simulate) -> None:
    """Each reply is late by the fault's seconds; nothing else changes."""
    hosts = simulated(2, faults=("linux-1:slow:seconds=0.1",))
    began = time.monotonic()
    assert hosts.run("linux-1", FILES).statuses == ["changed"] * 4
    assert time.monotonic() - began >= 0.8
