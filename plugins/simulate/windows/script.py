"""Reads a PowerShell script as it arrives at a host: only the shipped library and known verbs are taken."""

from __future__ import annotations

import base64
import re
from functools import cache

from plugins.connections.winrm_bootstrap import SECRETS
from plugins.powershell import QUOTED, calls, libraries, unquoted
from plugins.scripts import BODY, END, BodyError
from plugins.simulate.script import ReadScript, RefusedError

_SETTINGS = re.compile(
    rf"\$Steps = @\{{ Mark = '(?P<marker>@[0-9a-f]{{8,64}} )'; Owner = (?P<owner>{QUOTED.pattern}); "
    r"DryRun = \$(?P<dry>true|false); Wait = (?P<wait>\d+) \}"
)
_OPENING = f"\nfunction steps_body {{\n{BODY}\n"
_CLOSING = f"\n{END}\n}}\nsteps_run"


def read_script(data: bytes) -> ReadScript:
    """Take a script apart; RefusedError when anything in it is not the shipped library or a verb call."""
    beside = SECRETS.match(data)
    secrets = beside[0] if beside else b""
    try:
        text = data[len(secrets) :].decode()
    except UnicodeDecodeError as error:
        raise RefusedError(f"the script is not UTF-8 at byte {error.start}") from None
    header, _, rest = text.partition("\n")
    settings = _SETTINGS.fullmatch(header)
    if settings is None:
        raise RefusedError("the script does not begin with the four settings of $Steps")
    library, opening, body = rest.partition(_OPENING)
    body, closing, after = body.rpartition(_CLOSING)
    if not opening or not closing or after.strip("\n"):
        raise RefusedError("the script was cut off, or goes on after its body")
    if library != _shipped():
        raise RefusedError("the library differs from the one that ships")
    try:
        found = tuple(calls(f"{body}\n"))
    except BodyError as error:
        raise RefusedError(f"body: {error}") from None
    return ReadScript(
        marker=settings["marker"],
        dry_run=settings["dry"] == "true",
        wait=float(settings["wait"]),
        owner=unquoted(settings["owner"][1:-1]),
        calls=found,
        secrets=tuple(base64.b64decode(line.removeprefix(b"#secret ")).decode() for line in secrets.splitlines()),
    )


@cache
def _shipped() -> str:
    return "\n".join(libraries().values())
