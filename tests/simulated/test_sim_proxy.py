"""The real SSH client where a command lies in between, and where a server takes nobody for the moment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from simulating import Simulate, Simulated
from waiting import eventually

from plugins import connections
from plugins.errors import BusyError, UnreachableError

BODY = "package ovn-host\n"
RELAY = """
import os, socket, sys, threading
folder, host, port = sys.argv[1:]
with open(f"{folder}/relays", "a") as file:
    print(os.getpid(), file=file, flush=True)
with open(f"{folder}/relays") as file:
    if len(file.readlines()) <= int(os.environ.get("TURNED_AWAY", "0")):
        sys.exit(print("Exceeded MaxStartups", end="\\r\\n"))
print("a warning\\n" * 20000, file=sys.stderr)
line = socket.create_connection((host, int(port)))
def send():
    while data := os.read(0, 65536):
        line.sendall(data)
    line.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while data := line.recv(65536):
    os.write(1, data)
"""


def through(hosts: Simulated, folder: Path, command: str = "") -> Simulated:
    """Have all hosts reached through a command, by default one that notes its process number and relays."""
    (folder / "relay.py").write_text(RELAY)
    relay = f"{sys.executable} {folder}/relay.py {folder} %h %p"
    (folder / "config").write_text(f"Host *\n  ProxyCommand {command or relay}\n")
    hosts.set_ssh(config_file=str(folder / "config"))
    return hosts


def relays(folder: Path) -> list[int]:
    """Process numbers of all relays that have been started."""
    return [int(line) for line in (folder / "relays").read_text().split()]


def test_a_command_in_between_lives_as_long_as_the_connection(simulated: Simulate, tmp_path: Path) -> None:
    """It has a session of its own, which Ctrl-C does not reach, may say as much as it wants, and is gone at the end."""
    hosts = through(simulated(2), tmp_path)
    assert hosts.run("linux-1", BODY).statuses == ["changed"]
    assert hosts.run("linux-1", BODY).statuses == ["ok"]
    (relay,) = relays(tmp_path)
    assert os.getsid(relay) == relay
    hosts.hang_up()
    assert not Path(f"/proc/{relay}").exists()


def test_a_command_that_ignores_its_end_is_ended(simulated: Simulate, tmp_path: Path) -> None:
    """A polite signal first, then the other."""
    hosts = through(simulated(2), tmp_path)
    stubborn = f"import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{RELAY}\ntime.sleep(60)\n"
    (tmp_path / "relay.py").write_text(stubborn)
    assert hosts.run("linux-1", BODY).statuses == ["changed"]
    (pid,) = relays(tmp_path)
    hosts.hang_up()
    assert eventually(lambda: not Path(f"/proc/{pid}").exists(), 10)


def test_hosts_to_jump_over_are_left_to_ssh(
    simulated: Simulate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for what it asks itself for where it meets ProxyJump, and may open no window to ask something."""
    hosts = through(simulated(2), tmp_path)
    file = tmp_path / "config"
    file.write_text("Host *\n  ProxyJump a,operator@b:23\n")
    (tmp_path / "ssh").write_text('#!/bin/sh\necho "askpass $SSH_ASKPASS_REQUIRE: ssh $*" >&2\n')
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    host = hosts.nornir.inventory.hosts["linux-1"].hostname
    with pytest.raises(UnreachableError) as raised:
        hosts.shell("linux-1")
    said = f"askpass never: ssh -F {file} -J a -W [{host}]:2222 -l operator -p 23 b"
    assert raised.value.seen.endswith(f"ended: {said}")


@pytest.mark.parametrize("host_keys", ["strict", "accept-new"])
def test_an_ipv6_host_is_known_as_openssh_writes_it(simulated: Simulate, tmp_path: Path, host_keys: str) -> None:
    """[ADDRESS]:PORT, so that its key is known, and another one refused."""
    hosts = through(simulated(2, host_keys=host_keys), tmp_path)
    address, _ = hosts.listening["linux-1"]
    config = tmp_path / "config"
    config.write_text(f"{config.read_text().replace('%h', address)}  HostName 2001:db8::7\n")
    if host_keys == "strict":
        known = hosts.folder / "known_hosts"
        known.write_text(known.read_text().replace(f"[{address}]:", "[2001:db8::7]:"))
    assert hosts.run("linux-1", BODY).statuses == ["changed"]
    hosts.hang_up()
    hosts.add_fault("linux-1:changed-host-key")
    with pytest.raises(UnreachableError, match=r"the host key of 2001:db8::7:\d+ has changed"):
        hosts.run("linux-1", BODY)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("sh -c 'echo cannot reach the bastion >&2; exit 255'", "ended: cannot reach the bastion"),
        (
            "sh -c 'echo no route; echo no route to the bastion >&2; exit 255' >&2",
            "ended: no route; no route to the bastion",
        ),
        ("sh -c 'echo no such bastion; echo kex_exchange_identification: closed' >&2", "ended: no such bastion; kex_"),
        ("sh -c 'exit 7'", "ended: exit status 7"),
        ("sh -c 'echo waiting for the bastion >&2; sleep 60'", "let nothing through in time: waiting for the bastion"),
    ],
)
def test_a_command_that_does_not_get_through(simulated: Simulate, tmp_path: Path, command: str, said: str) -> None:
    """Its own words are the reason, at once, not that the host might be no SSH server."""
    hosts = through(simulated(2), tmp_path, command)
    hosts.set_ssh(connect_timeout=5.0)
    with pytest.raises(UnreachableError) as raised:
        hosts.shell("linux-1")
    assert f"the proxy command of the SSH configuration {said}" in raised.value.seen
    assert raised.value.todo == f"`ssh -F {tmp_path}/config HOST` must get through there without asking anything"


def test_a_server_that_takes_nobody_for_the_moment_is_asked_again(
    simulated: Simulate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where many log in through one at once: each gets its turn."""
    monkeypatch.setenv("TURNED_AWAY", "2")
    hosts = through(simulated(2), tmp_path)
    host = hosts.nornir.inventory.hosts["linux-1"]
    connections.open_shell(host, hosts.context)
    assert len(relays(tmp_path)) == 3
    assert hosts.run("linux-1", BODY).statuses == ["changed"]


@pytest.mark.parametrize(
    ("greeting", "todo"),
    [
        ("Not allowed at this time", "run again in a minute; the host's journal of sshd says"),
        ("Exceeded MaxStartups", "run again; if many hosts are reached through one, raise MaxStartups"),
        ("kex_exchange_identification: Connection closed by remote host", "run again; if many hosts"),
    ],
)
def test_a_server_that_goes_on_taking_nobody(simulated: Simulate, tmp_path: Path, greeting: str, todo: str) -> None:
    """Whoever tries by itself hears it at once, with what the server says."""
    out = ">&2" if greeting.startswith("kex") else ""
    hosts = through(simulated(2), tmp_path, f"sh -c 'echo {greeting} {out}'")
    who = "the proxy before " if out else ""
    with pytest.raises(BusyError, match=f"connect: {who}127.* takes no connection for now: {greeting}") as raised:
        hosts.shell("linux-1")
    assert raised.value.todo.startswith(todo)


def test_what_greets_otherwise_is_quoted(simulated: Simulate, tmp_path: Path) -> None:
    """A web server at that port, for one."""
    hosts = through(simulated(2), tmp_path, "sh -c 'echo 220 mail.example.org ESMTP; sleep 60'")
    with pytest.raises(UnreachableError, match=r"it greets with '220 mail.example.org ESMTP'") as raised:
        hosts.shell("linux-1")
    assert raised.value.todo == "is this an SSH server?"
