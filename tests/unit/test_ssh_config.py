"""How the SSH configuration says that a host is reached: as ssh itself reads it, and the command that ssh would run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from plugins.connections.ssh_config import Way, configured

JUMPS = [
    ("one", "{to} one"),
    ("one # of two", "{to} one"),
    ("one,two:23,operator@three", "-J one,two:23 {to} -l operator three"),
    ("operator@bastion:2022", "{to} -l operator -p 2022 bastion"),
    ("ssh://operator@bastion:2022", "{to} -l operator -p 2022 bastion"),
    ("joe@EXAMPLE@[2001:db8::1]:22", "{to} -l joe@EXAMPLE -p 22 2001:db8::1"),
    ("2001:db8::1", "{to} 2001:db8::1"),
]
CONFIGURATIONS = {
    "nothing": "Host *\n  ServerAliveInterval 5\n",
    "a name": "Host w1\n  HostName 192.0.2.7\n  Port 2022\n  User operator\n",
    "a jump": "Host w1\n  ProxyJump bastion\n",
    "a jump for all": "Host bastion\n  Port 23\nHost *\n  ProxyJump bastion\n",
    "no jump": "Host w1\n  ProxyJump none\nHost *\n  ProxyJump bastion\n",
    "no jump, in capitals": "Host w1\n  ProxyJump NONE\n",
    "no jump, then a command": "Host w1\n  ProxyJump none\nHost *\n  ProxyCommand nc %h %p\n",
    "no command, then a jump": "Host w1\n  ProxyCommand none\nHost *\n  ProxyJump bastion\n",
    "a jump, then a command": "Host w1\n  ProxyJump bastion\nHost *\n  ProxyCommand nc %h %p\n",
    "a command, then a jump": "Host w1\n  ProxyCommand nc %h %p\nHost *\n  ProxyJump bastion\n",
    "a command with quotes": "Host w1\n  ProxyCommand sh -c 'exec nc \"$0\" %p' %h\n",
    "a command for another port": "Host w1\n  Port 23\n  ProxyCommand nc %h %p %r\n",
}


def look_up(folder: Path, text: str, port: int = 22, user: str = "") -> Way:
    """What the configuration `text` says of the host w1."""
    file = folder / "config"
    file.write_text(text)
    return configured(file, "w1", port, user)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed: it is not asked how it reads a file")
@pytest.mark.parametrize(("port", "user"), [(22, ""), (2222, "alice")])
@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_file_is_read_as_ssh_reads_it(tmp_path: Path, text: str, port: int, user: str) -> None:
    """Which of several words for one host counts, and what the inventory's own port and user change of it."""
    way = look_up(tmp_path, text, port, user)
    given = ["-p", str(port)] * (port != 22) + ["-l", user] * bool(user)
    asked = ["ssh", "-G", "-F", str(tmp_path / "config"), *given, "w1"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    ssh = dict(line.split(" ", 1) for line in told.splitlines() if " " in line)
    assert (way.hostname, str(way.port)) == (ssh["hostname"], ssh["port"])
    assert way.user in ("", ssh["user"])
    command = ssh.get("proxycommand", "").replace("%h", way.hostname).replace("%p", str(way.port))
    assert way.proxy.startswith("ssh ") == ("proxyjump" in ssh)
    assert "proxyjump" in ssh or way.proxy == command.replace("%r", ssh["user"])


@pytest.mark.parametrize(("hops", "words"), JUMPS)
def test_a_jump_is_the_command_that_ssh_runs_for_it(tmp_path: Path, hops: str, words: str) -> None:
    """The last hop connects to the host, the others lead there; its port and user are no part of its name."""
    way = look_up(tmp_path, f"Host w1\n  HostName 192.0.2.7\n  ProxyJump {hops}\n", 2222)
    expected = words.format(to="-W [192.0.2.7]:2222")
    assert way.proxy.replace("'", "") == f"ssh -F {tmp_path}/config {expected}"


def test_the_operators_own_file_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ssh is told to read it, it leaves the system's configuration out."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    assert look_up(tmp_path / ".ssh", "Host w1\n  ProxyJump one\n").proxy.replace("'", "") == "ssh -W [w1]:22 one"
