"""The operator's OpenSSH client configuration: what it says of a host, and whether it can be read at all."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from plugins.connections.slim_paramiko import allow_match_exec  # isort: skip  # before paramiko itself

import paramiko

from plugins.errors import UsageError

CONFIG_ERRORS = (paramiko.SSHException, OSError, ValueError, LookupError)
"""What `configured` raises for a configuration that cannot be used."""
_TODO = "correct it, or write `ssh: {config_file: null}` into the inventory"
_HOP = re.compile(r"(?:ssh://)?(?:(?P<user>.+)@)?(?:\[(?P<v6>[^]]+)]|(?P<host>[^:/@]+))(?::(?P<port>\d+))?/?")


@dataclass(frozen=True)
class Way:
    """How a host is reached: where, as whom (nobody said, if empty), and through what command, if any."""

    hostname: str
    port: int
    user: str
    proxy: str = ""

    @property
    def target(self) -> str:
        """Host and port, to show."""
        return f"{self.hostname}:{self.port}"

    @property
    def known_as(self) -> str:
        """The name that the host's keys have in known_hosts."""
        return self.hostname if self.port == paramiko.config.SSH_PORT else f"[{self.hostname}]:{self.port}"


def configured(file: Path, address: str, port: int, user: str) -> Way:
    """Look a host up; a `port` other than 22 and a `user` go before what the file says, as on ssh's command line."""
    allow_match_exec()
    given = [f"Port {port}"] * (port != paramiko.config.SSH_PORT) + [f"User {user}"] * bool(user)
    said = paramiko.SSHConfig.from_text("\n".join([*given, file.read_text(encoding="utf-8")])).lookup(address)
    way = Way(said["hostname"], int(said.get("port", port)), said.get("user", ""))
    # The first in the file counts, with `ProxyCommand none` among them (None here), but not `ProxyJump none`.
    proxies = {"proxycommand": said.get("proxycommand") or "", "proxyjump": _jump(file, said.get("proxyjump", ""), way)}
    counts = (key for key in said if key == "proxycommand" or (key == "proxyjump" and proxies[key]))
    return replace(way, proxy=proxies.get(next(counts, ""), ""))


def ssh_words(file: Path | None) -> list[str]:
    """Give the words that ssh is called with to read the same file; without -F it reads the system's, too."""
    return ["ssh"] if file in (None, Path("~/.ssh/config").expanduser()) else ["ssh", "-F", str(file)]


def _jump(file: Path, said: str, way: Way) -> str:
    """Make the command that ssh itself makes of ProxyJump: from the last hop straight to the host."""
    *before, last = said.partition("#")[0].strip().split(",")
    if last.lower() in ("", "none"):
        return ""
    through = ["-J", ",".join(before)] if before else []
    words = [*ssh_words(file), *through, "-W", f"[{way.hostname}]:{way.port}"]
    if hop := _HOP.fullmatch(last):
        words += ["-l", hop["user"]] * bool(hop["user"]) + ["-p", hop["port"]] * bool(hop["port"])
        last = hop["v6"] or hop["host"]
    return shlex.join([*words, last])


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
