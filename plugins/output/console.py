"""Builds the console that a run writes to, what watches the run, and shows the result when it is over."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO, cast

from rich.console import Console

from plugins.output.stream import SteadyStream
from plugins.output.tables import summary
from plugins.output.verdict import verdict
from plugins.processors.base import RunProcessor
from plugins.processors.guard import Guard
from plugins.processors.host_log import KEEP_RUNS, HostLog
from plugins.processors.plain import Plain
from plugins.processors.progress import Progress
from plugins.processors.report import Report
from plugins.results import RunResult

PIPE_WIDTH = 120  # cells, where no terminal says otherwise


def make_console(file: TextIO | None = None) -> Console:
    """Make the console for `file` (standard output): NO_COLOR, TERM and the terminal's size are respected.

    A pipe gets 120 cells and no colour. Text is never markup; characters that the encoding lacks become
    question marks; a reader that goes away does not end the run.
    """
    stream = sys.stdout if file is None else file
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    steady = SteadyStream(stream)
    terminal = steady.isatty()
    return Console(
        file=cast(TextIO, steady),
        markup=False,
        emoji=False,
        highlight=False,
        force_terminal=terminal,
        force_interactive=terminal and os.environ.get("TERM") not in {"dumb", "unknown"},
        no_color=None if terminal else True,
        width=None if terminal else PIPE_WIDTH,
    )


def make_processors(
    console: Console,
    *,
    verbose: bool = False,
    log_folder: Path | None = None,
    keep_runs: int = KEEP_RUNS,
    report: Path | None = None,
) -> list[Guard]:
    """Make all that watches a run, each guarded: the display, the logs below `log_folder`, the report.

    The display is live on a terminal, and plain lines elsewhere or where every step is wanted (`verbose`).
    The caller closes every one of them when the run is over, however it ended.
    """
    display: RunProcessor = Plain(console, verbose=verbose)
    if console.is_interactive and not verbose:
        display = Progress(console)
    guards = [Guard(display, "display")]
    if log_folder is not None:
        guards.append(Guard(HostLog(log_folder, keep=keep_runs), f"log in {log_folder}"))
    if report is not None:
        guards.append(Guard(Report(report), f"report {report}"))
    return guards


def show_result(console: Console, result: RunResult, processors: Sequence[Guard], *, verbose: bool = False) -> None:
    """Show the table and all that belongs below it; whatever the processors could not do is a warning there."""
    logs = next((guard.inner for guard in processors if isinstance(guard.inner, HostLog)), None)
    report = next((guard.inner for guard in processors if isinstance(guard.inner, Report)), None)
    shown = summary(
        result,
        width=console.width,
        verbose=verbose,
        log_folder=logs.folder if logs else None,
        report=report.path if report and report.written else None,
        warnings=[guard.warning for guard in processors if guard.warning],
    )
    console.print(shown, crop=False)
    _tell_of_lost_output(console, result)


def _tell_of_lost_output(console: Console, result: RunResult) -> None:
    if isinstance(console.file, SteadyStream) and console.file.warning:
        print(console.file.warning, file=sys.stderr)
        print(verdict(result), file=sys.stderr)
