"""From a command that SSH is asked to run to the script that comes in: sudo, the receiver, and nothing else."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugins.simulate.effects import Complain, Cut, Effect, Hear, HearAll, Limit, Script
from plugins.simulate.play import Play
from plugins.simulate.script import RefusedError, read_script, words_of
from plugins.simulate.verbs import VERBS
from plugins.simulate.windows import script as powershell
from plugins.simulate.windows.verbs import VERBS as WINDOWS_VERBS

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

_WHOLE = 'unset l; eval "$(cat)"'
_LINE = 'IFS= read -r l && eval "$(printf %s "$l" | base64 -d)"'
_RECEIVER = re.compile(
    r'while IFS= read -r l; do \[ "\$l" = "#go-(?P<token>[0-9a-f]{32})" \] && '
    rf"\{{ (?P<take>{re.escape(_WHOLE)}|{re.escape(_LINE)}); exit; \}}; done; exit 97"
)
_TRIES = 3  # sudo's own default, passwd_tries


@dataclass(frozen=True)
class Command:
    """A command line taken apart; `token` is empty for the one that only tries the password."""

    sudo: bool = False
    reads_password: bool = False
    limit: float | None = None
    token: str = ""
    by_line: bool = False


def read_command(text: str) -> Command | None:
    """Understand exactly the command lines that the SSH transport sends; None for any other."""
    words = words_of(text)
    if words == ["exec", "sudo", "-k", "-S", "-p", "", "true"]:
        return Command(sudo=True, reads_password=True)
    sudo = reads = False
    limit: float | None = None
    if words[:1] != ["exec"]:
        return None
    words = words[1:]
    for form, asks in ((["sudo", "-n"], False), (["sudo", "-S", "-p", ""], True)):
        if words[: len(form)] == form:
            words, sudo, reads = words[len(form) :], True, asks
            break
    if words[:3] == ["timeout", "-k", "10"] and len(words) > 3 and re.fullmatch(r"[1-9]\d*", words[3]):
        words, limit = words[4:], float(words[3])
    receiver = _RECEIVER.fullmatch(words[3]) if len(words) == 4 and words[:3] == ["bash", "--norc", "-c"] else None
    if receiver is None:
        return None
    by_line = receiver["take"] == _LINE
    if not by_line and limit is None:  # only a script that is held has no limit, and comes as one line
        return None
    return Command(sudo, reads, limit, receiver["token"], by_line)


def session(host: SimulatedHost, user: str, text: str) -> Script:
    """Carry out one exec request of `user`."""
    command = read_command(text)
    if command is None:
        yield Complain(f"simulated host: this command is none of the runbooks': {text[:200]}\n".encode())
        return 127
    if command.sudo and (yield from _sudo(host, command)) != 0:
        return 1
    if not command.token:
        return 0
    if not command.sudo and user != "root":
        yield Complain(b"simulated host: a script has to run as root\n")
        return 1
    if command.limit is not None:
        yield Limit(command.limit)
    while (line := (yield Hear())) != f"#go-{command.token}\n".encode():
        if not line:
            return 97
    if host.strike(("cut-sending",)):
        yield Hear(0.2)
        yield Cut()
        yield HearAll()
        return 1
    script = (yield from _by_line()) if command.by_line else (yield HearAll())
    return (yield from play(host, script or b""))


def _by_line() -> Generator[Effect, bytes | None, bytes | None]:
    """Take a script that comes as one line of base64; the input behind it belongs to the script."""
    line = yield Hear()
    try:
        return base64.b64decode((line or b"").strip(), validate=True)
    except binascii.Error:
        return b""


def play(host: SimulatedHost, data: bytes) -> Script:
    """Play a script that has arrived whole, in the language of the host."""
    windows = host.state.windows is not None
    host.state.counters.scripts += 1
    try:
        script = powershell.read_script(data) if windows else read_script(data)
    except RefusedError as error:
        host.state.counters.refused_scripts += 1
        yield Complain(f"simulated host: {error}\n".encode())
        return 2
    return (yield from Play(host, script, WINDOWS_VERBS if windows else VERBS).run())


def _sudo(host: SimulatedHost, command: Command) -> Script:
    """Ask as sudo does: each line of input is one try, and a line that is not needed stays in the input."""
    counters = host.state.counters
    if host.strike(("require-tty",)):
        yield Complain(b"sudo: sorry, you must have a tty to run sudo\n")
        return 1
    asks = host.sudo_password is not None or host.strike(("ask-password",)) is not None
    if asks and not command.reads_password:
        yield Complain(b"sudo: a password is required\n")
        return 1
    for count in range(_TRIES if asks else 0):
        line = yield Hear()
        if not line:
            attempts = f"{count} incorrect password attempt{'s' if count > 1 else ''}"
            yield Complain(f"sudo: {attempts if count else 'no password was provided'}\n".encode())
            return 1
        counters.sudo_passwords += 1
        if host.sudo_password is not None and line.rstrip(b"\n") == host.sudo_password.encode():
            break
        counters.wrong_sudo_passwords += 1
        yield Complain(b"Sorry, try again.\n" if count < _TRIES - 1 else b"sudo: 3 incorrect password attempts\n")
        if count == _TRIES - 1:
            return 1
    if host.strike(("refuse-sudo",)):
        yield Complain(b"operator is not in the sudoers file.\n")
        return 1
    return 0
