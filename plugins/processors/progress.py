"""The live display on a terminal: one row per host, redrawn a few times a second by a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from nornir.core.inventory import Host
from nornir.core.task import MultiResult, Task
from rich.console import Console
from rich.live import Live
from rich.text import Text

from plugins.output.board import Board
from plugins.output.screen import screen
from plugins.processors.base import RunProcessor
from plugins.results import RunPlan, RunResult, StageResult
from plugins.steps import Step

BUSY_SECONDS = 0.125  # between two drawings while something happens
IDLE_SECONDS = 1.0  # when nothing does, for the clocks on the screen


class Progress(RunProcessor):
    """Draws the board; events only note what happened. `close` may be called at any time, also twice."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._board: Board | None = None
        self._live: Live | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def run_started(self, plan: RunPlan) -> None:
        """Show the screen."""
        self._board = Board(plan, self._clock)
        # Drawn by our own thread: Live's would draw as often when nothing happens as when much does.
        self._live = Live(console=self._console, get_renderable=self.draw, auto_refresh=False, transient=True)
        self._live.start(refresh=True)
        self._thread = threading.Thread(target=self._redraw, name="progress", daemon=True)
        self._thread.start()

    def run_completed(self, result: RunResult) -> None:  # noqa: ARG002
        """Take the screen away; an error that stopped the drawing is raised here."""
        self.close()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop drawing, wipe the screen and give the cursor back."""
        self._ending.set()
        thread, self._thread = self._thread, None
        live, self._live = self._live, None
        try:
            if thread is not None:
                thread.join(timeout=2)
        finally:
            if live is not None:
                self._stop(live)

    def _stop(self, live: Live) -> None:
        try:
            live.stop()
        finally:
            # A second Ctrl-C can end Live.stop half-way; a terminal without a cursor must not be left behind.
            self._console.show_cursor(show=True)

    def _redraw(self) -> None:
        drawn, version = self._clock(), -1
        live, board = self._live, self._board
        while live is not None and board is not None and not self._ending.wait(BUSY_SECONDS):
            if version == board.version and self._clock() - drawn < IDLE_SECONDS:
                continue
            drawn, version = self._clock(), board.version
            try:
                live.refresh()
            except Exception as error:  # noqa: BLE001  # the run goes on without a display
                self._error = error
                return

    def draw(self) -> Text:
        """Draw the screen as it is now, for the terminal as large as it is now."""
        if self._board is None:
            return Text()
        size = self._console.size
        return screen(self._board, width=size.width, height=size.height)

    def task_instance_started(self, task: Task, host: Host) -> None:
        """Show the stage."""
        if self._board is not None:
            self._board.stage_started(host.name, task.name)

    def task_instance_completed(self, task: Task, host: Host, result: MultiResult) -> None:  # noqa: ARG002
        """Show that the stage has ended."""
        if self._board is not None:
            self._board.stage_ended(host.name)

    def step_started(self, task: Task, host: Host, name: str) -> None:  # noqa: ARG002
        """Show the step."""
        if self._board is not None:
            self._board.step_started(host.name, name)

    def step_completed(self, task: Task, host: Host, step: Step) -> None:  # noqa: ARG002
        """Count the step."""
        if self._board is not None:
            self._board.step_completed(host.name, step)

    def stage_settled(self, host: str, result: StageResult) -> None:
        """Show how the stage ended."""
        if self._board is not None:
            self._board.stage_settled(host, result)
