"""Commands on the machine itself, with errors that say what was run and what it answered."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from plugins.errors import RunbookError

TAIL_LINES = 15


def run(
    command: Sequence[str],
    *,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float | None = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, `text` on its standard input.

    Raises RunbookError when it cannot run, takes longer than `timeout` seconds or, with `check`, does not exit 0.
    """
    try:
        done = subprocess.run(
            list(command),
            # Nothing of ours reads the terminal: a command that asks would hang in the middle of `up`.
            input=text or "",
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=env,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise RunbookError(f"{command[0]}: not found on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise RunbookError(f"{command[0]}: no end after {timeout:.0f} s") from error
    if check and done.returncode != 0:
        said = tail(f"{done.stdout}\n{done.stderr}".strip())
        raise RunbookError(f"{_shown(command)}: exit status {done.returncode}\n{said}")
    return done


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a command's output, control characters shown as dots."""
    last = text.rstrip().splitlines()[-lines:]
    return "\n".join("".join(c if c.isprintable() or c == "\t" else "." for c in line) for line in last)


def _shown(command: Sequence[str]) -> str:
    return " ".join(command[:6]) + (" ..." if len(command) > 6 else "")
