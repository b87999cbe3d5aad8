"""How a script travels over WinRM: a short command that reads it whole, and its text framed on standard input."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

BOOTSTRAP = Path(__file__).parent.parent.parent / "templates" / "winrm" / "bootstrap.ps1"
PROGRAM = "powershell.exe"
OPTIONS = (
    *("-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass"),
    # An encoded command has its errors written as XML unless text is asked for.
    *("-InputFormat", "Text", "-OutputFormat", "Text", "-EncodedCommand"),
)
LONGEST_COMMAND = 8191  # characters, of cmd.exe
LINE = 4096  # characters of base64
SECRETS = re.compile(rb"(?:#secret [A-Za-z0-9+/=]*\n)*")
CHUNK = 250_000  # bytes of input in one message; encoded once more they stay below the host's 500 KB


@cache
def arguments() -> tuple[str, ...]:
    """Give PowerShell's arguments; the bootstrap is the last of them."""
    lines = (line.strip() for line in BOOTSTRAP.read_text().splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("#"))
    found = (*OPTIONS, base64.b64encode(text.encode("utf-16-le")).decode())
    if len(" ".join((PROGRAM, *found))) > LONGEST_COMMAND // 2:
        raise ValueError(
            f"{BOOTSTRAP} is too long: cmd.exe takes {LONGEST_COMMAND} characters, and cuts without a word"
        )
    return found


def framed(script: bytes, word: str, seconds: int) -> bytes:
    """Put a script between two lines with `word` (32 hexadecimal digits): a cut one does not run.

    The host ends it after `seconds`. Lines `#secret BASE64` that the script begins with go beside it.
    """
    beside = SECRETS.match(script)
    secrets = beside[0].decode() if beside else ""
    text = base64.b64encode(script[len(secrets) :]).decode()
    lines = [text[at : at + LINE] for at in range(0, len(text), LINE)] or [""]
    return "\r\n".join([f"#go-{word} {seconds}", *secrets.splitlines(), *lines, f"#end-{word}", ""]).encode()


def pieces(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Cut the input into messages; the flag says which is the last."""
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK], start + CHUNK >= len(data)
