"""What an interruption finds on a host, told by the events that came before it."""

from __future__ import annotations

import pytest
from nornir.core.inventory import Host
from nornir.core.task import Task

from plugins.processors.running import Running
from plugins.results import StageResult, StageStatus

HOST = Host("linux-1")
TASK = Task(lambda task: None, None, False, None, name="install")  # type: ignore[arg-type]  # noqa: ARG005
BEGUN = ("task_instance_started",)
SENT = (*BEGUN, "script_started")
IN_A_STEP = (*SENT, "step_started")


def after(*events: str) -> Running:
    running = Running()
    for event in events:
        getattr(running, event)(TASK, HOST, *(["packages"] if event == "step_started" else []))
    return running


@pytest.mark.parametrize(
    ("events", "linux", "windows"),
    [
        (BEGUN, "connect; no script was sent", "connect; no script was sent"),
        (
            SENT,
            "before its first step; if the script has come to the host whole, it goes on to its end there",
            "before its first step; the script is ended with its connection",
        ),
        (
            IN_A_STEP,
            "packages; the script goes on to its end on the host",
            "packages; the script is ended with its connection",
        ),
        ((*IN_A_STEP, "script_ended"), "packages; no script was running", "packages; no script was running"),
    ],
)
def test_what_becomes_of_a_script(events: tuple[str, ...], linux: str, windows: str) -> None:
    """It is told of a script only where there may be one, and of a Windows host's that it ends."""
    moment = after(*events).hosts["linux-1"]
    assert (moment.words(windows=False), moment.words(windows=True)) == (linux, windows)


def test_a_second_script_has_no_step_of_the_first() -> None:
    """What came before it is over."""
    again = after(*IN_A_STEP, "script_ended", "script_started").hosts["linux-1"]
    assert again == after(*SENT).hosts["linux-1"]


def test_a_stage_that_is_over_is_forgotten() -> None:
    """Nothing of it can be interrupted any more."""
    running = after(*IN_A_STEP)
    running.stage_settled("linux-1", StageResult("install", StageStatus.OK))
    assert running.hosts == {}
