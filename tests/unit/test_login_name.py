"""Who runs this where the machine has no name for the user id, as in a container that runs under any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nornir.core.inventory import Host

from plugins.connections.winrm import Winrm
from plugins.errors import InventoryError, UsageError
from plugins.inventory import read_secrets
from plugins.inventory.model import HostSettings, SshSettings
from plugins.login_name import login_name, owner_name


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable tells who this is, and neither does the user database."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setenv("HOME", "/nonexistent")


def host(transport: str, username: str | None = None) -> Host:
    keys = {"name": "linux-1", "role": "linux", "address": "10.142.0.3", "transport": transport}
    winrm = {"authentication": "kerberos"}
    return Host(
        "linux-1",
        username=username,
        data={"settings": HostSettings.model_validate(keys | {"winrm": winrm, "ssh": {"config_file": None}})},
    )


def test_it_is_the_user_s_own(monkeypatch) -> None:
    """Where there is one."""
    monkeypatch.setenv("LOGNAME", "alice")
    assert login_name() == owner_name() == "alice"


@pytest.mark.usefixtures("nameless")
def test_others_are_shown_the_user_id() -> None:
    """A lock says who has it, and nothing needs to be a name for that."""
    assert owner_name() == f"user id {os.getuid()}"


@pytest.mark.usefixtures("nameless")
@pytest.mark.parametrize("transport", ["ssh", "winrm"])
def test_a_login_needs_a_name_in_the_inventory(transport: str) -> None:
    """It is asked for before any host is touched; hosts that have one, or need none, are well."""
    with pytest.raises(InventoryError, match=r"linux-1: username: user id .* has no name on this machine; write one"):
        read_secrets([host(transport)])
    read_secrets([host(transport, "operator"), host("memory")])


@pytest.mark.usefixtures("nameless")
def test_a_connection_asks_for_it_too() -> None:
    """Where nobody has looked before."""
    with pytest.raises(UsageError, match="has no name on this machine"):
        Winrm().open("127.0.0.1", None, None, 5986, None, {"settings": host("winrm").data["settings"]})


@pytest.mark.usefixtures("nameless")
def test_a_home_that_is_not_known_has_no_ssh_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else of the home is asked for where the inventory names other files."""
    monkeypatch.delenv("HOME", raising=False)
    assert SshSettings(known_hosts=Path("/k")).config_file is None


def test_a_home_that_cannot_be_looked_into_has_no_ssh_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses to look, as it does where the folder is another user's."""
    monkeypatch.setenv("HOME", f"/{'x' * 300}")
    assert SshSettings().config_file is None
