"""What the real SSH client logs in with: keys of ~/.ssh and of the agent, a key file, a password."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from simulating import Simulate, Simulated

from plugins.errors import UnreachableError

BODY = "package ovn-host\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An operator's home with an empty ~/.ssh, and no agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An SSH agent without keys."""
    if shutil.which("ssh-agent") is None:
        pytest.skip("ssh-agent is not installed: no login by an agent's key is tried")
    socket = home / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # it listens
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    process.terminate()
    process.communicate()


def by_default(simulated: Simulate) -> Simulated:
    """Make hosts whose inventory names neither a key nor a password."""
    hosts = simulated(2)
    hosts.set_ssh(key_file=None, agent=True)
    return hosts


def test_a_key_of_the_operator_s_home_is_tried(simulated: Simulate, home: Path) -> None:
    """Where the inventory says nothing about the login, ~/.ssh/id_ed25519 is enough."""
    hosts = by_default(simulated)
    shutil.copy(hosts.folder / "key", home / ".ssh" / "id_ed25519")
    assert hosts.run("linux-1", BODY).statuses == ["changed"]


@pytest.mark.usefixtures("agent")
def test_the_agent_s_keys_are_tried(simulated: Simulate) -> None:
    """A key that only the agent has is enough, too."""
    hosts = by_default(simulated)
    subprocess.run(["ssh-add", "-q", hosts.folder / "key"], check=True)
    assert hosts.run("linux-1", BODY).statuses == ["changed"]


@pytest.mark.usefixtures("home")
def test_no_key_at_all_is_said(simulated: Simulate) -> None:
    """The server is well, and the error says what is missing here."""
    hosts = by_default(simulated)
    with pytest.raises(UnreachableError, match=r"nothing to log in with at .* as operator: the agent's keys") as raised:
        hosts.shell("linux-1")
    assert "load a key into the SSH agent" in raised.value.todo


def test_a_key_that_cannot_be_read_is_not_the_server_s_fault(simulated: Simulate, home: Path) -> None:
    """A file that is no private key is named as what there was to log in with."""
    hosts = simulated(2)
    (home / "key").write_text("not a key\n")
    hosts.set_ssh(key_file=str(home / "key"))
    with pytest.raises(UnreachableError, match=rf"nothing to log in with at .*: key {home}/key"):
        hosts.shell("linux-1")


@pytest.mark.parametrize(("written", "user"), [("User operator", "operator"), ("Port 2222", "alice")])
def test_the_ssh_configuration_names_the_user_where_the_inventory_does_not(
    simulated: Simulate, home: Path, monkeypatch: pytest.MonkeyPatch, written: str, user: str
) -> None:
    """As ssh does it; where it does not either, the user is who runs this."""
    monkeypatch.setenv("LOGNAME", "alice")
    hosts = simulated(2)
    (home / "config").write_text(f"Host *\n  {written}\n")
    hosts.set_ssh(config_file=str(home / "config"))
    defaults = hosts.inventory / "defaults.yaml"
    defaults.write_text(defaults.read_text().replace("username: operator", "username: null"))
    hosts.add_fault("linux-1:refuse-login")
    with pytest.raises(UnreachableError, match=f"connect: {user}@.* refused the login"):
        hosts.shell("linux-1")


@pytest.mark.parametrize("login", ["key", "password"])
def test_keys_of_the_operator_s_home_are_not_tried_beside_another_login(
    simulated: Simulate, home: Path, login: str
) -> None:
    """A host counts each key that it refuses: what the inventory names is all that it is shown."""
    hosts = simulated(2, login=login)
    other = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    (home / ".ssh" / "id_ed25519").write_bytes(other)
    assert hosts.run("linux-1", BODY).statuses == ["changed"]
    assert hosts.state("linux-1")["counters"]["refused_logins"] == 0
