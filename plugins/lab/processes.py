"""Looking into a host from the machine: its first process, and commands in its namespaces without SSH."""

from __future__ import annotations

import contextlib
from pathlib import Path

PROC = Path("/proc")


def leader_of(nspawn: int, proc: Path = PROC) -> int:
    """Process number, on the machine, of the host's process 1; 0 when it is not there (yet)."""
    for child in children(nspawn, proc):
        with contextlib.suppress(OSError):
            for line in (proc / str(child) / "status").read_text().splitlines():
                # NSpid: the number in each namespace, innermost last.
                if line.startswith("NSpid:") and line.split()[-1] == "1" and len(line.split()) > 2:
                    return child
    return 0


def children(process: int, proc: Path = PROC) -> list[int]:
    """The direct children of a process, of all its threads."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in (proc / str(process) / "task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return found
