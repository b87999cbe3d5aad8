"""Small texts that every kind of output shares: safe host text, fitted cells, durations, counts."""

from __future__ import annotations

import math
import re

from rich.cells import cell_len, set_cell_size

from plugins.results import StageResult, StageStatus
from plugins.secret import redact
from plugins.steps import Status, visible

MORE = "…"
RUN_LOG = "run.log"
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")


def safe(text: str) -> str:
    """Make text fit to be shown and kept: no secret, no control character, nothing UTF-8 cannot encode."""
    if not text:
        return text
    # JSON can carry half a surrogate pair, which no file and no terminal would take.
    return visible(redact(text)).encode("utf-8", "backslashreplace").decode()


def one_line(text: str) -> str:
    """Make text safe and put it on one line."""
    return " ".join(safe(text).split())


def fit(text: str, width: int) -> str:
    """Pad or cut to exactly `width` terminal cells; a cut shows as an ellipsis."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + MORE if width > 0 else ""


def fit_name(name: str, width: int) -> str:
    """Pad or cut a name to `width` cells, leaving out its middle: names often differ at the end."""
    if cell_len(name) <= width or width < 3:
        return fit(name, width)
    tail = (width - 1) // 2
    return fit(name[: width - 1 - tail] + MORE + name[-tail:], width)


def duration(seconds: float) -> str:
    """Write a time span: `12.3 s`, `4m 05s`, `1h 02m`."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 59.95:
        return f"{max(seconds, 0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02d}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02d}m"


def unnamed(text: str, host: str) -> str:
    """Leave out a host's name and all addresses: what is equal then differs in nothing else between hosts."""
    return _ADDRESS.sub("", text.replace(host, ""))


def plural(count: int, noun: str) -> str:
    """Write `1 host`, `3 hosts`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def status_word(status: StageStatus) -> str:
    """Write a status so that a bad one catches the eye without colour."""
    return status.value.upper() if status.bad else status.value


def counted(result: StageResult) -> str:
    """Sum up a stage's steps: `3 changed, 5 ok`."""
    order = (Status.FAILED, Status.CHANGED, Status.WOULD_CHANGE, Status.OK)
    return ", ".join(f"{number} {status}" for status in order if (number := result.count(status)))


def log_name(host: str) -> str:
    """Name the log file of a host: never outside its folder, and never that of the run itself."""
    name = re.sub(r"[^A-Za-z0-9._-]|^\.", "_", host)
    return f"{name}_.log" if f"{name}.log" == RUN_LOG else f"{name}.log"
