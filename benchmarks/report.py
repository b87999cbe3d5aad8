"""What all benchmarks show and write: the machine, a table, a JSON file."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from plugins.errors import RunbookError, UsageError

SCHEMA_VERSION = 2
INTERRUPTED = 130


@dataclass(frozen=True)
class Machine:
    """Where it was measured; `load` is the number of runnable processes over the last minute, before the start."""

    cores: int
    load: float
    kernel: str
    python: str
    openssh: str

    def __str__(self) -> str:
        where = f"{self.cores} cores (load {self.load:.1f}), Linux {self.kernel}"
        return f"{where}, Python {self.python}, {self.openssh}"


def this_machine() -> Machine:
    """Look at the machine."""
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.strip()
    cores = len(os.sched_getaffinity(0))
    return Machine(cores, os.getloadavg()[0], platform.release(), platform.python_version(), said)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Set rows of words as columns, each as wide as its widest word."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def spread(seconds: Sequence[float]) -> str:
    """Show the median with the fastest and the slowest in brackets."""
    low, middle, high = min(seconds), median(seconds), max(seconds)
    if middle < 10:
        return f"{1000 * middle:.0f} ms ({1000 * low:.0f}-{1000 * high:.0f})"
    return f"{middle:.1f} s ({low:.1f}-{high:.1f})"


def document(benchmark: str, machine: Machine, results: Sequence[Any], **more: Any) -> dict[str, Any]:
    """Give a benchmark's result as data; `results` are plain values or dataclasses."""
    head = {"version": SCHEMA_VERSION, "benchmark": benchmark, **more, "machine": asdict(machine)}
    return head | {"results": [each if isinstance(each, dict) else asdict(each) for each in results]}


def write(file: Path | None, content: dict[str, Any]) -> None:
    """Write the result, if it is wanted."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def command(benchmark: Callable[[], None]) -> int:
    """Run a benchmark's command; SIGTERM and SIGHUP end it as Ctrl-C does, with everything taken away."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        benchmark()
    except KeyboardInterrupt:
        print("Interrupted; the servers and their files are gone.", file=sys.stderr)
        return INTERRUPTED
    except RunbookError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0
