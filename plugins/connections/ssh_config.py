"""The operator's OpenSSH client configuration: what it says of a host, and whether it can be read at all."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from plugins.connections.slim_paramiko import allow_match_exec  # isort: skip  # before paramiko itself

import paramiko

from plugins.connections.proxy_command import ProxyCommand
from plugins.errors import UsageError

CONFIG_ERRORS = (paramiko.SSHException, OSError, ValueError, LookupError)
"""What `configured` raises for a configuration that cannot be used."""
_TODO = "correct it, or write `ssh: {config_file: null}` into the inventory"


def configured(file: Path, address: str, port: int, user: str) -> dict[str, Any]:
    """Give the keys of paramiko's `connect` in which a host differs; starts the command that it is reached through.

    A `port` other than 22 and a `user` that are given go before what the file says, as they do on ssh's command line.
    """
    allow_match_exec()
    given = [f"Port {port}"] * (port != paramiko.config.SSH_PORT) + [f"User {user}"] * bool(user)
    said = paramiko.SSHConfig.from_text("\n".join([*given, file.read_text(encoding="utf-8")])).lookup(address)
    found = {"hostname": said["hostname"], "port": int(said.get("port", port)), "username": said.get("user", "")}
    if command := said.get("proxycommand") or _jump(file, said.get("proxyjump", "none"), found):
        found["sock"] = ProxyCommand(command)
    return found


def _jump(file: Path, hops: str, found: dict[str, Any]) -> str:
    """Make the command that ssh itself makes of ProxyJump: from the last hop straight to the host."""
    if hops == "none":
        return ""
    *before, last = hops.split(",")
    through = ["-J", ",".join(before)] if before else []
    return shlex.join(["ssh", "-F", str(file), *through, "-W", f"[{found['hostname']}]:{found['port']}", last])


def check_config(file: Path | None) -> None:
    """Raise UsageError, with the line, where the file cannot be read."""
    if file is None:
        return
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"{file}: the SSH configuration cannot be read ({error.strerror}); {_TODO}") from None
    for number, line in enumerate(lines, 1):
        try:
            paramiko.SSHConfig.from_text(line.decode())
        except UnicodeDecodeError:
            raise UsageError(f"{file}, line {number}: not UTF-8 text; {_TODO}") from None
        except CONFIG_ERRORS as error:
            raise UsageError(f"{file}, line {number}: {error}; {_TODO}") from None
