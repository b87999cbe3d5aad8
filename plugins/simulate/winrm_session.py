"""From a command line that WinRM is asked to run to the script that comes in: the shipped bootstrap, nothing else."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from plugins.connections.winrm_bootstrap import LONGEST_COMMAND, PROGRAM, arguments
from plugins.simulate.effects import Complain, HearAll, Limit, Script

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

Interpreter = Callable[["SimulatedHost", bytes], Script]
"""Plays a script that has arrived whole, given as its bytes, its secrets' lines first."""
_GO = re.compile(rb"#go-(?P<word>[0-9a-f]{32}) (?P<seconds>[0-9]{1,6})")


def session(host: SimulatedHost, line: str, interpret: Interpreter) -> Script:
    """Carry out one command line as cmd.exe and PowerShell would do it."""
    if len(line) > LONGEST_COMMAND:
        yield Complain(b"The command line is too long.\r\n")
        return 1
    if line != " ".join((PROGRAM, *arguments())):
        yield Complain(f"simulated host: this command is none of the runbooks': {line[:200]}\r\n".encode())
        return 1
    received = yield HearAll()
    first, *lines = (received or b"").removesuffix(b"\r\n").split(b"\r\n")
    go = _GO.fullmatch(first)
    if go is None or len(lines) < 2 or lines.pop() != b"#end-" + go["word"]:
        return 97
    secrets = [line for line in lines if line.startswith(b"#secret ")]
    try:
        script = base64.b64decode(b"".join(line for line in lines if line not in secrets), validate=True)
    except binascii.Error:
        yield Complain(b"The script cannot be read: it is no base64\r\n")
        return 2
    yield Limit(float(go["seconds"]))
    return (yield from interpret(host, b"".join(b"%s\n" % line for line in secrets) + script))
