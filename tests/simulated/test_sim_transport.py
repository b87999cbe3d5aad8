"""The real SSH client against simulated hosts: logging in, sudo, and what a script's bytes go through."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import paramiko
import pytest
from simulating import Simulate
from waiting import eventually

from plugins.connections.prompt_socket import PromptSocket
from plugins.errors import SudoError, UnreachableError

BODY = "file /etc/motd 0644 root:root 'hello\nworld\n'\npackage ovn-host\nservice ovn-host enabled running\n"


@pytest.mark.parametrize("user", ["root", "operator"])
@pytest.mark.parametrize("login", ["key", "password"])
def test_a_script_runs_and_runs_again(simulated: Simulate, user: str, login: str) -> None:
    """As root or by sudo, by key or by password: everything changes once, and then is as wanted."""
    hosts = simulated(2, user=user, login=login)
    assert hosts.run("linux-1", BODY, dry_run=True).statuses == ["would-change"] * 3
    assert hosts.run("linux-1", BODY).statuses == ["changed", "changed", "ok"]
    again = hosts.run("linux-1", BODY)
    assert again.statuses == ["ok"] * 3
    assert again.transcript.ended
    assert again.completed.exit_status == 0
    assert hosts.state("linux-1")["counters"]["connections"] == 1


def test_a_dry_run_changes_nothing(simulated: Simulate) -> None:
    """The whole state of the host, counters aside, is the same before and after."""
    hosts = simulated(2)
    before = hosts.state("linux-1") | {"counters": {}}
    hosts.run("linux-1", BODY, dry_run=True)
    assert hosts.state("linux-1") | {"counters": {}} == before
    hosts.run("linux-1", BODY)
    assert hosts.state("linux-1") | {"counters": {}} != before


def test_sudo_asks_for_the_password_and_gets_it(simulated: Simulate) -> None:
    """The password is tried once alone, then given with each script, and is never taken for a part of it."""
    hosts = simulated(2, sudo_password=True)
    assert hosts.run("linux-1", BODY).statuses == ["changed", "changed", "ok"]
    assert hosts.run("linux-1", BODY).statuses == ["ok"] * 3
    counters = hosts.state("linux-1")["counters"]
    assert (counters["sudo_passwords"], counters["wrong_sudo_passwords"]) == (3, 0)


def test_a_password_that_sudo_does_not_want_is_dropped(simulated: Simulate) -> None:
    """A host that lets the user become root without a password gets one all the same: it runs nothing of it."""
    hosts = simulated(2)
    hosts.set_sudo_password("not wanted")
    assert hosts.run("linux-1", BODY).statuses == ["changed", "changed", "ok"]
    assert hosts.state("linux-1")["counters"]["sudo_passwords"] == 0


def test_a_sudo_that_is_over_before_the_password_is_sent_is_well(
    simulated: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wanted none: that the password could not be sent to it any more says nothing about the host."""
    send = paramiko.Channel.sendall

    def late(channel: paramiko.Channel, data: bytes) -> None:
        if b"#go-" not in data:  # the password alone, to try it
            assert eventually(lambda: channel.closed)
        send(channel, data)

    hosts = simulated(2)
    hosts.set_sudo_password("not wanted")
    monkeypatch.setattr(paramiko.Channel, "sendall", late)
    assert hosts.run("linux-1", BODY).statuses == ["changed", "changed", "ok"]


def test_a_connection_lost_while_sudo_is_tried_is_no_refusal(
    simulated: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of the password then, and nothing about it is said."""
    hosts = simulated(2, sudo_password=True)
    with monkeypatch.context() as cut:
        cut.setattr(paramiko.Channel, "sendall", lambda channel, _: channel.get_transport().close())
        with pytest.raises(UnreachableError, match="connection was lost") as raised:
            hosts.run("linux-1", BODY)
    assert (raised.value.step, raised.value.todo) == ("sudo", "run again")
    assert not isinstance(raised.value, SudoError)
    hosts.hang_up()
    assert hosts.run("linux-1", BODY).statuses == ["changed", "changed", "ok"]
    assert hosts.state("linux-1")["counters"]["wrong_sudo_passwords"] == 0


def test_a_wrong_sudo_password_is_exactly_one_attempt(simulated: Simulate) -> None:
    """One try for each connection, so that no account is locked; the error says sudo, and the host ran nothing."""
    hosts = simulated(2, sudo_password=True)
    (hosts.folder / "sudo-password").write_text("wrong")
    for _ in range(2):
        with pytest.raises(SudoError, match="sudo refused") as raised:
            hosts.run("linux-1", BODY)
        assert raised.value.step == "sudo"
    counters = hosts.state("linux-1")["counters"]
    assert (counters["sudo_passwords"], counters["wrong_sudo_passwords"]) == (1, 1)
    assert counters["scripts"] == 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("linux-1:refuse-sudo", "not in the sudoers file"),
        ("linux-1:ask-password", "a password is required"),
        ("linux-1:require-tty", "you must have a tty"),
    ],
)
def test_sudo_refuses(simulated: Simulate, fault: str, words: str) -> None:
    """What sudo says arrives on standard error with its exit status, and nothing has run."""
    hosts = simulated(2, faults=(fault,))
    said = hosts.run("linux-1", BODY)
    assert said.completed.exit_status == 1
    assert words in said.completed.stderr.decode()
    assert said.steps == []
    assert hosts.run("master-1", BODY).completed.exit_status == 0


@pytest.mark.parametrize("login", ["key", "password"])
def test_a_refused_login_says_who_and_how(simulated: Simulate, login: str) -> None:
    """The error names the user and what was offered; after the mend the same host works."""
    hosts = simulated(2, login=login, faults=("linux-1:refuse-login",))
    with pytest.raises(UnreachableError, match=f"operator@.* refused the login with .*{login}"):
        hosts.shell("linux-1")
    assert hosts.state("linux-1")["counters"]["logins"] == 0
    hosts.clear_faults()
    assert hosts.run("linux-1", BODY).transcript.ended


def test_a_closed_port_is_refused_and_opens_again(simulated: Simulate) -> None:
    """A host that is down is unreachable at once, with the address in the error."""
    hosts = simulated(2)
    assert hosts.nornir
    hosts.add_fault("linux-1:closed:seconds=4")
    with pytest.raises(UnreachableError, match=r"127\.\d+\.0\.3:2222: Connection refused"):
        hosts.shell("linux-1")
    time.sleep(4.1)
    assert hosts.running_scripts() == 0  # an answer comes when all ports are as they should be
    assert hosts.run("linux-1", BODY).transcript.ended


def test_a_silent_port_is_given_up_in_time(simulated: Simulate) -> None:
    """A server that accepts and says nothing costs the connect timeout and no more."""
    hosts = simulated(2, faults=("linux-1:silent",))
    defaults = hosts.inventory / "defaults.yaml"
    defaults.write_text(defaults.read_text().replace("connect_timeout: 30.0", "connect_timeout: 1.0"))
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        hosts.shell("linux-1")
    assert time.monotonic() - began < 15


def test_a_command_that_is_none_of_ours_is_refused(simulated: Simulate) -> None:
    """A simulated host is no shell: whatever else is asked for ends with status 127 and words."""
    hosts = simulated(2)
    shell = hosts.shell("linux-1")
    channel = shell._client.get_transport().open_session()
    channel.exec_command("cat /etc/passwd")
    assert channel.recv_exit_status() == 127
    assert b"none of the runbooks'" in channel.recv_stderr(200)


def test_an_idle_connection_sleeps_and_closes_at_once(simulated: Simulate) -> None:
    """A connection that nothing comes over takes hardly any turns, however many there are, and ends without a wait."""
    hosts = simulated(1)
    hosts.run("master-1", BODY)
    waiting = next(thread for thread in threading.enumerate() if isinstance(thread, paramiko.Transport))
    before = _turns(waiting)
    time.sleep(1)
    assert _turns(waiting) - before < 5
    hosts.hang_up()
    waiting.join(1)
    assert not waiting.is_alive()


def _turns(thread: threading.Thread) -> int:
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text(encoding="ascii")
    return int(status.split("voluntary_ctxt_switches:")[1].split()[0])


def test_what_has_come_is_taken_at_once_and_given_in_pieces() -> None:
    """The first read empties the system's own buffer; the end comes after the last piece."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        with PromptSocket(fileno=accepted.detach()) as ours:
            theirs.sendall(b"0123456789")
            theirs.close()
            assert ours.recv(4) == b"0123"
            assert super(PromptSocket, ours).recv(10) == b""
            assert [ours.recv(2), ours.recv(10), ours.recv(1)] == [b"45", b"6789", b""]
