"""A processor's own error costs a warning, never a run."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from nornir.core.inventory import Host
from nornir.core.processor import Processors
from nornir.core.task import Result, Task

from plugins.processors.base import RunProcessor
from plugins.processors.guard import Guard

EVENTS = [name for name in vars(RunProcessor) if not name.startswith("_")]


class Failing(RunProcessor):
    """Raises `error` at every event."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getattribute__(self, name: str) -> Any:
        if name not in EVENTS and name != "close":
            return super().__getattribute__(name)

        def fail(*_arguments: object) -> None:
            raise self.error

        return fail


class Remembering(RunProcessor):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def stage_settled(self, *arguments: object) -> None:
        """Remember the event."""
        self.told.append(arguments)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SystemExit(1)], ids=["error", "exit"])
def test_no_event_lets_an_error_out(event: str, error: BaseException) -> None:
    """Every event of the base class is guarded, those that Nornir calls and ours."""
    guard = Guard(Failing(error), "log")
    getattr(guard, event)("something")
    assert guard.warning.startswith("log: ")


def test_events_reach_the_processor() -> None:
    """What is passed in is passed on as it is."""
    inner = Remembering()
    guard = Guard(inner, "log")
    guard.stage_settled("linux-1", "result")  # type: ignore[arg-type]
    assert inner.told == [("linux-1", "result")]
    assert guard.warning == ""


def test_an_error_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A full disk under 1,000 events from many threads is one log record and one line of warning."""
    guard = Guard(Failing(OSError(28, "No space left\non device")), "log in logs")
    threads = [threading.Thread(target=lambda: [guard.task_started(None) for _ in range(100)]) for _ in range(10)]  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(caplog.records) == 1
    assert "\n" not in guard.warning
    assert "No space left on device" in guard.warning
    assert "1,000 events lost" in guard.warning


def test_ctrl_c_goes_through() -> None:
    """An interruption that happens to meet a processor still interrupts the run."""
    guard = Guard(Failing(KeyboardInterrupt()), "display")
    with pytest.raises(KeyboardInterrupt):
        guard.run_started(None)  # type: ignore[arg-type]


def test_close_is_guarded_and_optional() -> None:
    """A processor that cannot be closed is fine, and one that fails while it closes too."""
    Guard(Remembering(), "log").close()
    guard = Guard(Failing(ValueError("no terminal")), "display")
    guard.close()
    assert "no terminal" in guard.warning


def test_a_nornir_task_keeps_its_result() -> None:
    """Nornir itself lets a processor's error end the task and drops its result; guarded, it does not."""
    guard = Guard(Failing(RuntimeError("broken")), "display")

    def work(task: Task) -> Result:
        return Result(task.host, result="done")

    task = Task(work, None, False, Processors([guard]), name="install")  # type: ignore[arg-type]
    assert task.start(Host(name="linux-1"))[0].result == "done"
    assert guard.warning
