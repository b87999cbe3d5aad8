"""The cluster's lock on a simulated master: held over SSH beside other scripts, by one run at a time."""

from __future__ import annotations

import re
import secrets
import threading
import time

import pytest
from simulating import Simulate, Simulated
from waiting import eventually

from plugins.connections.base import Holder
from plugins.errors import LockedError
from plugins.locks import MasterLock
from plugins.scripts import assemble
from plugins.simulate.host import Timing
from plugins.steps import Step, Transcript, parse_line


def hold(hosts: Simulated, owner: str, silence: float = 60) -> tuple[Holder, Step]:
    """Ask for the lock; give the holder and the answer."""
    marker, transcript, answered = f"@{secrets.token_hex(16)} ", Transcript(), threading.Event()

    def on_line(raw: bytes) -> None:
        transcript.add(parse_line(raw, marker))
        if transcript.steps:
            answered.set()

    script = assemble(f"hold_lock {owner} {silence:g}\n", marker=marker, dry_run=False, wait=5, owner=owner)
    holder = hosts.shell("master-1").hold(script.encode(), on_line=on_line)
    assert answered.wait(10)
    return holder, transcript.steps[0]


@pytest.mark.parametrize("options", [{}, {"sudo_password": True}, {"user": "root"}], ids=str)
def test_one_holder_at_a_time_beside_other_scripts(simulated: Simulate, options: dict) -> None:
    """Who comes second is told who holds it; scripts run meanwhile; it is free at once when it is let go."""
    hosts = simulated(1, **options)
    first, taken = hold(hosts, "ann@desk")
    assert taken.status == "ok"
    assert first.beat()
    assert hosts.run("master-1", "package a\n").statuses == ["changed"]
    second, refused = hold(hosts, "bob@desk")
    assert re.match(r"held by ann@desk; last sign of life \d+ s ago \(after 60 s without", refused.message)
    assert eventually(lambda: not second.beat())
    second.close()
    first.close()
    third, taken = hold(hosts, "bob@desk")
    assert taken.status == "ok"
    third.close()
    assert eventually(lambda: hosts.running_scripts() == 0)


def test_silence_ends_it(simulated: Simulate) -> None:
    """A holder that says nothing loses the lock, and learns of it by its next beat."""
    hosts = simulated(1)
    first, _ = hold(hosts, "ann@desk", silence=0.5)
    assert eventually(lambda: hosts.running_scripts() == 0)
    assert eventually(lambda: not first.beat())
    second, taken = hold(hosts, "bob@desk")
    assert taken.status == "ok"
    for each in (first, second):
        each.close()


@pytest.mark.parametrize("how", ["hang up", "reboot"])
def test_a_lost_connection_frees_it(simulated: Simulate, how: str) -> None:
    """The lock ends with the script's input, or with the boot."""
    hosts = simulated(1, timing=Timing(until_reboot=0.05, reboot=0.2))
    hold(hosts, "ann@desk")
    if how == "reboot":
        boot = hosts.state("master-1")["boot_id"]
        hosts.run("master-1", f"reboot_now {boot}\n")
        assert eventually(lambda: hosts.state("master-1")["boot_id"] != boot)
    hosts.hang_up()
    assert eventually(lambda: hosts.running_scripts() == 0)
    again, taken = hold(hosts, "bob@desk")
    assert taken.status == "ok"
    again.close()


def test_a_lock_that_somebody_else_holds(simulated: Simulate) -> None:
    """The fault names its owner, for as long as it lasts."""
    hosts = simulated(1, faults=("master-1:cluster-locked:owner=eve@elsewhere,seconds=4",))
    refused, answer = hold(hosts, "ann@desk")
    assert "held by eve@elsewhere" in answer.message
    refused.close()
    time.sleep(4)
    holder, answer = hold(hosts, "ann@desk")
    assert answer.status == "ok"
    holder.close()


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [("ask-password", 1, b"sudo: a password is required"), ("cut-sending", None, b"")],
)
def test_whoever_holds_hears_that_the_script_has_ended(
    simulated: Simulate, fault: str, status: int | None, words: bytes
) -> None:
    """A script that dies at once says how, as one that is run does."""
    holder = simulated(1, faults=(f"master-1:{fault}",)).shell("master-1").hold(b"true", on_line=lambda _: None)
    assert eventually(holder.ended)
    done = holder.ended()
    assert done is not None
    assert (done.exit_status, words in done.stderr) == (status, True)
    assert bool(done.lost) == (status is None)
    assert not holder.beat()
    holder.close()


def test_a_master_on_which_a_script_goes_on_is_another_runs(simulated: Simulate, monkeypatch) -> None:
    """The script for the lock says whom it waited for before it is given up, and the run does not begin without it."""
    monkeypatch.setattr("plugins.locks.ANSWER", 6.0)
    monkeypatch.setattr("plugins.locks.SETTING_OUT", 4.0)
    hosts = simulated(1, faults=("master-1:locked:owner=ann@desk, install",))
    with pytest.raises(LockedError, match="after 2 s ann@desk, install still runs on this host; wait for that run"):
        MasterLock(hosts.nornir, hosts.context)


def test_a_lock_that_gets_no_answer_holds_up_nobody(simulated: Simulate) -> None:
    """The run says what became of the lock's script, which is not that the master is not reached, and goes on."""
    hosts = simulated(1, faults=("master-1:ask-password",))
    done = hosts.command("runbooks.bootstrap", "--only", "preflight", timeout=45)
    said = " ".join(done.stdout.split())
    assert "lock is not taken (the lock's script ended without an answer (exit status 1): sudo: a password" in said
    assert "not reached" not in said
    assert "master-1 preflight FAILED" in said


def test_a_lock_on_a_master_that_is_down(simulated: Simulate) -> None:
    """The run says why the master is not reached."""
    said = simulated(1, faults=("master-1:closed",)).command("runbooks.bootstrap", "--only", "preflight").stdout
    assert "lock is not taken (the master is not reached: connect: 127." in " ".join(said.split())
