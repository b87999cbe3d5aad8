"""The live display: what it shows of how many hosts, at which width, and that it always gives the terminal back."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import cast

import pytest
from nornir.core.inventory import Host
from nornir.core.task import MultiResult, Task
from rich.cells import cell_len
from rich.console import Console
from waiting import eventually

from plugins.output.board import Board, HostState
from plugins.output.screen import screen
from plugins.processors.progress import Progress
from plugins.results import RunPlan, RunResult, StageResult, StageStatus
from plugins.steps import Status, Step

STAGES = ("preflight", "network-checks", "install", "verify")
SHOW, HIDE = "\x1b[?25h", "\x1b[?25l"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.seconds


def plan(hosts: int = 3, *, dry_run: bool = False, title: str = "Bare hosts to an OVN overlay") -> RunPlan:
    names = {"master-1": "master"} | {f"linux-{number}": "linux" for number in range(1, hosts)}
    return RunPlan("20261123T051409Z-1f3a", "bootstrap", title, "lab", "current", dry_run, STAGES, names)


def settled(name: str, status: StageStatus = StageStatus.OK, *steps: Step, message: str = "") -> StageResult:
    return StageResult(name, status, 2.0, steps=steps, message=message)


def run_stage(board: Board, host: str, result: StageResult) -> None:
    board.stage_started(host, result.name)
    board.stage_ended(host)
    board.stage_settled(host, result)


def lines(board: Board, width: int = 80, height: int = 24) -> list[str]:
    return screen(board, width=width, height=height).plain.split("\n")


def line_of(board: Board, host: str, width: int = 80) -> str:
    return next(line for line in lines(board, width) if line.startswith(host))


def test_a_running_host_shows_stage_step_and_time() -> None:
    """One row says where, what, for how long, and what came of the steps before."""
    clock = Clock()
    board = Board(plan(), clock)
    board.stage_started("linux-1", "install")
    board.step_completed("linux-1", Step("keys", Status.OK))
    board.step_started("linux-1", "packages")
    clock.seconds += 62
    assert line_of(board, "linux-1").split() == ["linux-1", "linux", "install", "packages", "1m", "02s", "1", "·", "·"]


def test_the_result_replaces_what_was_counted_live() -> None:
    """A script that runs again after a reboot sends its steps twice; the result has each once."""
    board = Board(plan(), Clock())
    board.stage_started("linux-1", "install")
    for _ in range(2):
        board.step_completed("linux-1", Step("packages", Status.CHANGED))
    board.stage_ended("linux-1")
    board.stage_settled("linux-1", settled("install", StageStatus.CHANGED, Step("packages", Status.CHANGED)))
    assert board.show(10).rows[1].count(Status.CHANGED) == 1


def test_a_failed_host_shows_where_and_why() -> None:
    """The row stays at the failure when later stages are skipped."""
    board = Board(plan(), Clock())
    failed = Step("packages", Status.FAILED, message="no space left")
    run_stage(board, "linux-1", settled("install", StageStatus.FAILED, failed, message="packages: no space left"))
    board.stage_settled("linux-1", settled("verify", StageStatus.SKIPPED, message="needs install"))
    assert "install         FAILED packages: no space left" in line_of(board, "linux-1", 100)
    assert board.totals()[HostState.FAILED] == 1


def test_a_skipped_stage_does_not_hide_what_runs() -> None:
    """The master's failure settles a worker's later stages while an earlier one still runs there."""
    board = Board(plan(), Clock())
    board.stage_started("linux-1", "install")
    board.stage_settled("linux-1", settled("verify", StageStatus.SKIPPED, message="needs central on master-1"))
    assert board.totals()[HostState.RUNNING] == 1
    assert " install " in line_of(board, "linux-1")


def test_a_look_at_a_host_leaves_no_trace() -> None:
    """Needs outside the selection are looked at: on the same host, and on hosts that the plan does not have."""
    board = Board(plan(), Clock())
    for host in ("linux-1", "elsewhere-1"):
        board.stage_started(host, "preflight")
        board.step_started(host, "packages")
        board.step_completed(host, Step("packages", Status.OK))
        board.stage_ended(host)
    assert board.totals() == {"waiting": 3, "running": 0, "failed": 0, "done": 0}


def test_events_from_many_threads_add_up() -> None:
    """Hosts report at the same time, and no count is lost."""
    board = Board(plan(40), Clock())

    def work(host: str) -> None:
        for stage in STAGES:
            board.stage_started(host, stage)
            for _ in range(50):
                board.step_completed(host, Step("packages", Status.OK))
            board.stage_ended(host)
            board.stage_settled(host, settled(stage, StageStatus.OK, *[Step("packages", Status.OK)] * 50))

    threads = [threading.Thread(target=work, args=[host]) for host in plan(40).hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert board.totals()[HostState.DONE] == 40
    assert {row.count(Status.OK) for row in board.show(40).rows} == {200}


def test_many_hosts_are_summed_up() -> None:
    """With more hosts than lines, failed and running ones are shown and the rest is counted."""
    board = Board(plan(300), Clock())
    run_stage(board, "linux-250", settled("install", StageStatus.FAILED, message="no space"))
    run_stage(board, "linux-251", settled("verify"))
    for number in range(100, 105):
        board.stage_started(f"linux-{number}", "install")
    shown = lines(board)
    assert len(shown) <= 23
    assert shown[0].endswith("2/300 hosts done, 1 failed")
    assert [line.split()[0] for line in shown[2:-1]] == ["linux-250", *(f"linux-{n}" for n in range(100, 105))]
    assert shown[-1] == "… 293 waiting, 1 done"


def test_failures_do_not_push_running_hosts_away() -> None:
    """Many failures and many running hosts share the lines, and what is not shown is counted by kind."""
    board = Board(plan(300), Clock())
    for number in range(1, 61):
        run_stage(board, f"linux-{number}", settled("install", StageStatus.FAILED, message="no space"))
    for number in range(100, 150):
        board.stage_started(f"linux-{number}", "install")
    shown = lines(board)
    assert len(shown) == 23
    assert sum("FAILED" in line for line in shown) == 6
    assert shown[-1] == "… 36 more running, 54 more failed, 190 waiting"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Long names, wide characters and long messages are cut with an ellipsis, by cells and not by characters."""
    board = Board(plan(title="漢字" * 40), Clock())
    board.stage_started("linux-1", "network-checks")
    board.step_started("linux-1", "漢字" * 60)
    run_stage(board, "linux-2", settled("install", StageStatus.FAILED, message="x" * 300))
    shown = lines(board, width)
    assert shown[0].endswith("1/3 hosts done, 1 failed")
    console = Console(file=io.StringIO(), width=width, height=24, force_terminal=True)
    drawn = console.render_lines(screen(board, width=width, height=24), pad=False)
    assert len(drawn) == len(shown)
    assert all(sum(segment.cell_length for segment in line) <= width for line in drawn)
    if width >= 80:
        assert all(cell_len(line) <= width for line in shown)


def test_host_text_is_neither_markup_nor_control() -> None:
    """Brackets stay as they are, and an escape code is shown and not obeyed."""
    board = Board(plan(), Clock())
    board.stage_started("linux-1", "install")
    board.step_started("linux-1", "[red]a[/tmp/x] \x1b[2J\nb")
    console = Console(file=io.StringIO(), width=120, height=24, force_terminal=True)
    with console.capture() as capture:
        console.print(screen(board, width=120, height=24))
    assert r"[red]a[/tmp/x] \x1b[2J b" in capture.get()
    assert "\x1b[2J" not in capture.get()


def test_a_dry_run_says_so() -> None:
    """The flag is in the header, and the count is of what would change."""
    board = Board(plan(dry_run=True), Clock())
    board.stage_started("linux-1", "install")
    board.step_completed("linux-1", Step("packages", Status.WOULD_CHANGE))
    assert "DRY RUN" in lines(board)[0]
    assert "would" in lines(board)[1]
    assert line_of(board, "linux-1").split()[-3:] == ["·", "1", "·"]


class Recording(io.StringIO):
    """A terminal that remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        """Remember the text."""
        self.writes.append(text)
        return len(text)


def live(file: io.StringIO) -> Progress:
    return Progress(Console(file=file, width=80, height=24, force_terminal=True, markup=False, highlight=False))


def started(progress: Progress) -> Task:
    progress.run_started(plan())
    task = Task(lambda task: None, None, False, None, name="install")  # type: ignore[arg-type]  # noqa: ARG005
    progress.task_instance_started(task, Host(name="linux-1"))
    return task


def threads_named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_the_cursor_comes_back_and_the_thread_ends() -> None:
    """A run that ends, and closing again after it, leave the terminal as it was."""
    file = io.StringIO()
    progress = live(file)
    started(progress)
    progress.run_completed(cast("RunResult", None))
    progress.close()
    text = file.getvalue()
    assert text.index(HIDE) < text.rindex(SHOW)
    assert HIDE not in text[text.rindex(SHOW) :]
    assert not threads_named("progress")


def test_closing_without_a_run_is_fine() -> None:
    """A run that is refused before it starts closes what never opened."""
    live(io.StringIO()).close()


def test_the_screen_is_not_drawn_at_every_event() -> None:
    """Thousands of events a second are at most about eight drawings a second."""
    file = Recording()
    progress = live(file)
    task = started(progress)
    before, until = time.monotonic(), time.monotonic() + 0.6
    while time.monotonic() < until:
        progress.step_started(task, Host(name="linux-1"), "packages")
    drawn = sum("linux-1" in text for text in file.writes)
    most = (time.monotonic() - before) / 0.125 + 2
    progress.close()
    assert 1 <= drawn <= most


def test_the_screen_shows_the_events() -> None:
    """What was told by events stands on the terminal a moment later."""
    file = io.StringIO()
    progress = live(file)
    task = started(progress)
    host = Host(name="linux-1")
    progress.step_completed(task, host, Step("keys", Status.OK))
    progress.task_instance_completed(task, host, MultiResult("install"))
    progress.stage_settled("linux-1", settled("verify", StageStatus.OK, Step("keys", Status.OK)))
    eventually(lambda: "1/3 hosts done" in file.getvalue())
    progress.close()
    assert "1/3 hosts done" in file.getvalue()


class Gone(io.StringIO):
    """A terminal that was closed after the first drawing."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = False

    def write(self, text: str) -> int:
        """Fail once the terminal is gone."""
        if self.gone:
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_a_lost_terminal_is_told_once_at_the_end() -> None:
    """The drawing thread ends quietly; the error comes out where a guard can note it."""
    file = Gone()
    progress = live(file)
    task = started(progress)
    file.gone = True
    progress.step_started(task, Host(name="linux-1"), "packages")
    eventually(lambda: not any(thread.is_alive() for thread in threads_named("progress")))
    progress.step_started(task, Host(name="linux-1"), "more")
    with pytest.raises(OSError, match="Input/output error"):
        progress.run_completed(cast("RunResult", None))


SCRIPT = """
import time
from plugins.output.console import make_console, make_processors
from plugins.results import RunPlan
run_id, hosts = "20261123T051409Z-1f3a", {"linux-1": "linux"}
plan = RunPlan(run_id, "bootstrap", "Overlay", "lab", "current", False, ("install",), hosts)
processors = make_processors(make_console())
try:
    for processor in processors:
        processor.run_started(plan)
    time.sleep(30)
finally:
    for processor in processors:
        processor.close()
"""


def test_ctrl_c_on_a_real_terminal_gives_the_cursor_back() -> None:
    """A process that is interrupted in the middle of a run shows the cursor again before it ends."""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=follower,
        stdout=follower,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    os.close(follower)
    seen = b""
    try:
        while b"linux-1" not in seen:
            seen += os.read(leader, 65536)
        assert HIDE.encode() in seen
        process.send_signal(signal.SIGINT)
        try:
            while chunk := os.read(leader, 65536):
                seen += chunk
        except OSError:  # the other end is closed
            pass
        assert process.wait(timeout=10) != 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert re.findall(rb"\x1b\[\?25([hl])", seen)[-1] == b"h"
