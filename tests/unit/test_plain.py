"""Plain lines for pipes and files, and the choice between them and the live display."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from nornir.core.inventory import Host
from nornir.core.task import MultiResult, Task
from rich.console import Console
from waiting import eventually

from plugins.output.console import make_console, make_processors, show_result
from plugins.output.stream import SteadyStream
from plugins.processors.guard import Guard
from plugins.processors.plain import Plain
from plugins.processors.progress import Progress
from plugins.results import HostResult, RunPlan, RunResult, StageResult, StageStatus
from plugins.secret import Secret
from plugins.steps import Status, Step

MOMENT = datetime(2026, 11, 23, 12, 3, 4, tzinfo=UTC)
LINUX = Host(name="linux-1")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.seconds


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def plan(*, dry_run: bool = False, hosts: int = 1) -> RunPlan:
    names = {f"linux-{number}": "linux" for number in range(1, hosts + 1)} | {"master-1": "master"}
    stages = ("install", "verify")
    return RunPlan("20261123T051409Z-1f3a", "bootstrap", "Overlay", "lab", "current", dry_run, stages, names)


def task(name: str = "install") -> Task:
    return Task(lambda task: None, None, False, None, name=name)  # type: ignore[arg-type]  # noqa: ARG005


class Written:
    """A Plain that writes into memory, at a time that stands still."""

    def __init__(self, *, verbose: bool = False, still_seconds: float = 30.0) -> None:
        self.file, self.clock = io.StringIO(), Clock()
        self.plain = Plain(
            make_console(self.file),
            verbose=verbose,
            still_seconds=still_seconds,
            clock=self.clock,
            now=lambda: MOMENT,
        )

    @property
    def lines(self) -> list[str]:
        """All lines but those that say what will be run."""
        return [line for line in self.file.getvalue().splitlines() if "Overlay" not in line]


@pytest.fixture
def written() -> Iterator[Written]:
    """Plain lines of a run that has begun."""
    written = Written()
    written.plain.run_started(plan())
    yield written
    written.plain.close()


def test_the_first_line_says_what_will_be_run() -> None:
    """Title, cluster, release, size and run id; a dry run says that it is one."""
    written = Written()
    written.plain.run_started(plan(dry_run=True))
    written.plain.close()
    assert written.file.getvalue().splitlines() == [
        "12:03:04 Overlay: cluster lab, release current, 2 hosts, 2 stages, run 20261123T051409Z-1f3a",
        "12:03:04 dry run: hosts are looked at, nothing is written",
    ]


def test_each_settled_stage_is_one_line(written: Written) -> None:
    """Time, host, stage, status, counts or reason, seconds."""
    changed, fine = Step("packages", Status.CHANGED), Step("keys", Status.OK)
    failed = Step("service", Status.FAILED, message="did\nnot start")
    for result in (
        StageResult("install", StageStatus.CHANGED, 12.34, steps=(changed, changed, changed, fine, fine)),
        StageResult("install", StageStatus.FAILED, 9.8, steps=(failed,), message="service: did\nnot start"),
        StageResult("install", StageStatus.UNREACHABLE, 15.0, message="connect: no answer"),
        StageResult("verify", StageStatus.SKIPPED, message="needs install on linux-1: reason"),
    ):
        written.plain.stage_settled("linux-1", result)
    assert written.lines == [
        "12:03:04 linux-1   install  changed       3 changed, 2 ok  12.3 s",
        "12:03:04 linux-1   install  FAILED        service: did not start  9.8 s",
        "12:03:04 linux-1   install  UNREACHABLE   connect: no answer  15.0 s",
        "12:03:04 linux-1   verify   skipped       needs install on linux-1: reason",
    ]


def test_lines_are_neither_wrapped_nor_coloured_nor_cut(written: Written) -> None:
    """A line is as long as what it says, whatever the width of a terminal would be."""
    message = "漢字 [red]word[/red] [/tmp/x] " * 40
    written.plain.stage_settled("linux-1", StageResult("install", StageStatus.FAILED, message=message + "\x1b[31mend"))
    assert len(written.lines) == 1
    assert f"{message}\\x1b[31mend" in written.lines[0]
    assert "\x1b" not in written.file.getvalue()


def test_no_secret_reaches_a_line() -> None:
    """Messages and diffs are redacted."""
    secret = "correct-horse-battery"
    Secret(secret)
    written = Written(verbose=True)
    written.plain.run_started(plan())
    written.plain.step_completed(task(), LINUX, Step("set", Status.CHANGED, 0, f"+{secret}", secret))
    written.plain.stage_settled("linux-1", StageResult("install", StageStatus.FAILED, message=secret))
    written.plain.close()
    assert secret not in written.file.getvalue()
    assert written.file.getvalue().count("***") == 3


def test_verbose_writes_every_step_with_its_diff() -> None:
    """Without it only stages are written; with it steps too, each with its diff in one piece."""
    step = Step("file /etc/x", Status.CHANGED, 0.2, "--- a\n+++ b\n+[red]x\n", "written")
    for verbose, expected in (
        (False, []),
        (
            True,
            [
                "12:03:04 linux-1   install    changed       file /etc/x  0.2 s  written",
                "    --- a",
                "    +++ b",
                "    +[red]x",
            ],
        ),
    ):
        written = Written(verbose=verbose)
        written.plain.run_started(plan())
        written.plain.task_instance_started(task(), LINUX)
        written.plain.step_completed(task(), LINUX, step)
        written.plain.close()
        assert written.lines == expected


def test_what_takes_long_is_named_with_its_step(written: Written) -> None:
    """Only what has been running for a while is named, the longest first; nothing running is no line."""
    written.plain.say_still_running()
    written.plain.task_instance_started(task("install"), Host(name="master-1"))
    written.clock.seconds += 20
    written.plain.task_instance_started(task("install"), LINUX)
    written.plain.step_started(task("install"), Host(name="master-1"), "packages")
    written.plain.say_still_running()
    written.clock.seconds += 20
    written.plain.say_still_running()
    written.plain.task_instance_completed(task("install"), Host(name="master-1"), MultiResult("install"))
    written.plain.task_instance_completed(task("install"), LINUX, MultiResult("install"))
    written.plain.say_still_running()
    assert written.lines == [
        "12:03:04 still running: master-1 install at packages (20 s)",
        "12:03:04 still running: master-1 install at packages (40 s), linux-1 install (20 s)",
    ]


def test_many_hosts_that_take_long_are_counted() -> None:
    """The line stays readable with 100 hosts."""
    written = Written()
    written.plain.run_started(plan(hosts=100))
    for number in range(1, 101):
        written.plain.task_instance_started(task(), Host(name=f"linux-{number}"))
    written.clock.seconds += 31
    written.plain.say_still_running()
    written.plain.close()
    assert written.lines[0].count("install") == 6
    assert written.lines[0].endswith("and 94 more")


def test_the_line_comes_by_itself_until_the_run_ends() -> None:
    """A thread of its own writes it; closing ends the thread, and nothing is written after that."""
    written = Written(still_seconds=0.05)
    written.plain.run_started(plan())
    written.plain.task_instance_started(task(), LINUX)
    written.clock.seconds += 31
    assert eventually(lambda: written.lines)
    written.plain.run_completed(cast("RunResult", None))
    written.plain.stage_settled("linux-1", StageResult("install", StageStatus.FAILED))
    count = len(written.lines)
    assert eventually(lambda: all(thread.name != "still-running" for thread in threading.enumerate()))
    assert count >= 1
    assert written.lines[-1] == "12:03:04 still running: linux-1 install (31 s)"


def test_lines_of_many_threads_do_not_mix(written: Written) -> None:
    """Each line comes in one piece."""

    def work() -> None:
        for _ in range(50):
            written.plain.stage_settled("linux-1", StageResult("install", StageStatus.FAILED, 1.0))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written.lines) == 400
    assert set(written.lines) == {"12:03:04 linux-1   install  FAILED          1.0 s"}


def test_a_stage_with_nothing_to_do_is_not_worth_a_line(written: Written) -> None:
    """As on a cluster without Windows hosts the stages that await those."""
    written.plain.stage_settled("linux-1", StageResult("windows-ready", StageStatus.OK, 0.1))
    assert written.lines == []


def display(console: Console, *, verbose: bool = False) -> object:
    return make_processors(console, verbose=verbose)[0].inner


def test_the_display_fits_where_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live on a terminal; lines in a pipe, on a dumb terminal, and where every step is wanted."""
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(display(make_console(Terminal())), Progress)
    assert isinstance(display(make_console(Terminal()), verbose=True), Plain)
    assert isinstance(display(make_console(io.StringIO())), Plain)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(display(make_console(io.StringIO())), Plain)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display(make_console(Terminal())), Plain)


def test_no_color_takes_colours_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The live display stays; a pipe has no colour in any case."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    make_console(terminal).print("text", style="red")
    assert "\x1b[31m" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    console = make_console(terminal)
    console.print("text", style="red")
    assert terminal.getvalue() == "text\n"
    assert isinstance(display(console), Progress)


def test_a_pipe_is_120_cells_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where COLUMNS says otherwise: what a script reads does not depend on who started it."""
    monkeypatch.setenv("COLUMNS", "37")
    assert make_console(io.StringIO()).width == 120


def finished() -> RunResult:
    stages = [StageResult("install", StageStatus.OK, 1.0)]
    hosts = {"linux-1": HostResult("linux-1", "linux", stages, 1.0)}
    return RunResult(plan(), MOMENT, MOMENT, 0, hosts)


def test_a_closed_pipe_does_not_end_the_run() -> None:
    """Whoever stops reading (`| head`) has no say in what happens on the hosts."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor
        console = make_console(file)
        processors = make_processors(console)
        for processor in processors:
            processor.run_started(plan())
            processor.stage_settled("linux-1", StageResult("install", StageStatus.OK))
            processor.run_completed(finished())
        show_result(console, finished(), processors)
    assert [processor.warning for processor in processors] == [""]


def test_a_full_disk_behind_standard_output_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict is not lost with the rest."""
    with open("/dev/full", "w", encoding="utf-8") as file:  # noqa: PTH123
        console = make_console(file)
        show_result(console, finished(), [])
    assert capsys.readouterr().err.splitlines() == [
        "Warning: the output could not be written: No space left on device",
        "All well on 1 host after 0.0 s: changed nothing (exit status 0).",
    ]


def test_a_missing_standard_output_is_like_one_that_nobody_reads() -> None:
    """Python has none when it was started with it closed."""
    stream = SteadyStream(None)
    assert stream.write("text") == 4
    stream.flush()
    assert not stream.isatty()


def test_characters_that_the_encoding_lacks_become_question_marks() -> None:
    """A terminal in the C locale gets what it can show."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    make_console(file).print("漢字 ok…")
    assert raw.getvalue() == b"?? ok?\n"


def test_what_could_not_be_kept_is_a_warning_at_the_end() -> None:
    """Logs and a report that failed are told, and are not named as if they were there."""
    file = io.StringIO()
    console = make_console(file)
    processors = make_processors(console, log_folder=Path("/dev/null/logs"), report=Path("/dev/null/r.json"))
    for processor in processors:
        processor.run_started(plan())
        processor.run_completed(finished())
    show_result(console, finished(), processors)
    for processor in processors:
        processor.close()
    text = file.getvalue()
    assert "Warning: log in /dev/null/logs: " in text
    assert "Warning: report /dev/null/r.json: " in text
    assert "\nLogs:" not in text
    assert "\nReport:" not in text
    assert all(isinstance(processor, Guard) for processor in processors)
