"""Waiting for what comes by itself, for all tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def eventually(come: Callable[[], object], seconds: float = 5, *, every: float = 0.02) -> bool:
    """Wait until it has come, `seconds` at most, with a look `every` so many; tell whether it has."""
    end = time.monotonic() + seconds
    while not (there := bool(come())) and time.monotonic() < end:
        time.sleep(every)
    return there


def ended(pid: int) -> bool:
    """Whether a process has ended, if only its parent has not heard of it yet."""
    state = Path(f"/proc/{pid}/stat")
    try:
        return state.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
