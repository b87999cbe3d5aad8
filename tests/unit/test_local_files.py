"""Files of the operator's own machine that connections need: what is wrong in them is named with file and line."""

from __future__ import annotations

from pathlib import Path

import paramiko
import pytest

from plugins.connections.hostkeys import HostKeyStore
from plugins.connections.ssh_config import check_config
from plugins.errors import UsageError
from plugins.locks import local_lock

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN7kmIqWf0WIkNQ6885SD1ifRHXfJK7cdHGha41Go22e"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7kmIqWf0WIkNQ6885SD1ifRHXfJK7cdHGha41Go22e"


def known(tmp_path: Path, text: str, encoding: str = "utf-8") -> HostKeyStore:
    """Read a known_hosts file with this text."""
    file = tmp_path / "known_hosts"
    file.write_bytes(text.encode(encoding))
    return HostKeyStore([file], None)


def shown(keys: list[paramiko.PKey]) -> list[str]:
    return [f"{key.get_name()} {key.get_base64()}" for key in keys]


@pytest.mark.parametrize(
    "line",
    ["h ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "h ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIN7k", f"@revoked h {KEY}"],
)
def test_a_damaged_known_host_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    """The file, the line, and what to do: what a host's key is must not be guessed."""
    with pytest.raises(UsageError, match=r"known_hosts, line 3: .*; .*the (line|key)"):
        known(tmp_path, f"# mine\nother {KEY}\n{line}\n")


def test_comments_and_spaces_of_known_hosts_are_no_mistake(tmp_path: Path) -> None:
    """A comment may be in any encoding, the first key of a kind counts, what paramiko does not know is passed over."""
    text = (
        f"# G\xfcnther\n\nh,10.0.0.1  {KEY} G\xfcnther\nh {OTHER}\n@cert-authority *.example {KEY}\nk sk-ssh-x AAAA\n"
    )
    store = known(tmp_path, text, "latin-1")
    assert shown(store.lookup("h")) == shown(store.lookup("10.0.0.1")) == [KEY]
    assert store.lookup("k") == store.lookup("*.example") == []


def test_known_hosts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """One that is not there is as good as an empty one."""
    assert HostKeyStore([tmp_path / "none"], None).lookup("h") == []
    with pytest.raises(
        UsageError, match=rf"{tmp_path}: known host keys cannot be read from it .Is a directory.*ssh.known_hosts"
    ):
        HostKeyStore([tmp_path], None)


def test_a_new_host_key_that_cannot_be_kept_is_named(tmp_path: Path) -> None:
    """It is not the host's fault."""
    store = HostKeyStore([], tmp_path / "state" / "known_hosts")
    (tmp_path / "state").write_text("")
    key = known(tmp_path, f"h {KEY}").lookup("h")[0]
    with pytest.raises(UsageError, match="state/known_hosts: new host keys cannot be kept"):
        store.accept("h", key)


@pytest.mark.parametrize(
    ("line", "seen"),
    [(b"Nonsense", "Unparsable line Nonsense"), (b"# G\xfcnther", "not UTF-8 text"), (b'Host "a', "host")],
)
def test_a_wrong_line_of_the_ssh_configuration_is_named(tmp_path: Path, line: bytes, seen: str) -> None:
    """The file, the line, and both ways out."""
    file = tmp_path / "config"
    file.write_bytes(b"Host *\n  Port 22\n" + line + b"\n")
    with pytest.raises(UsageError, match=rf"config, line 3: .*{seen}.*; correct it, or write .*config_file: null"):
        check_config(file)


def test_an_ssh_configuration_that_is_missing_is_named(tmp_path: Path) -> None:
    """Only one that the inventory names can be; none at all is well."""
    with pytest.raises(UsageError, match=r"nowhere: the SSH configuration cannot be read .No such file"):
        check_config(tmp_path / "nowhere")
    check_config(None)


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The run ends before it touches a host."""
    (tmp_path / "file").write_text("")
    lock = local_lock(tmp_path / "file" / "state", "me")
    with pytest.raises(UsageError, match=r"state folder .*/file/state cannot be written to"), lock:
        pass
