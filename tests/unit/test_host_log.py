"""Logs of a run: what stands in them, who may read them, and what happens when they cannot be written."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nornir.core.exceptions import NornirSubTaskError
from nornir.core.inventory import Host
from nornir.core.task import MultiResult, Result, Task
from waiting import eventually

from plugins.errors import StepError
from plugins.processors.guard import Guard
from plugins.processors.host_log import HostLog
from plugins.results import RunPlan, RunResult, StageResult, StageStatus
from plugins.secret import Secret
from plugins.steps import Status, Step

RUN = "20261123T051409Z-1f3a"
MOMENT = datetime(2026, 11, 23, 5, 14, 9, 123000, tzinfo=UTC)
LINUX = Host(name="linux-1")
ENTRY = re.compile(r"\d{4}-\d\d-\d\dT")


def plan(run_id: str = RUN) -> RunPlan:
    hosts = {"linux-1": "linux", "run": "linux"}
    return RunPlan(run_id, "bootstrap", "Overlay", "lab", "current", False, ("install",), hosts)


def task(name: str = "install") -> Task:
    return Task(lambda task: None, None, False, None, name=name)  # type: ignore[arg-type]  # noqa: ARG005


@pytest.fixture
def log(tmp_path: Path) -> Iterator[HostLog]:
    """A log of one run that has begun."""
    log = HostLog(tmp_path / "logs", now=lambda: MOMENT)
    log.run_started(plan())
    yield log
    log.close()


def text_of(log: HostLog, host: str = "linux-1") -> str:
    log.close()
    path = log.path(host)
    assert path is not None
    return path.read_text()


def run_log(log: HostLog) -> str:
    log.close()
    assert log.folder is not None
    return (log.folder / "run.log").read_text()


def test_a_stage_is_told_from_begin_to_end(log: HostLog) -> None:
    """Steps, what the host printed, diffs and output stand there in order, each entry with time and stage."""
    log.task_instance_started(task(), LINUX)
    log.step_started(task(), LINUX, "packages")
    log.output_line(task(), LINUX, "Reading package lists...")
    log.step_completed(task(), LINUX, Step("packages", Status.CHANGED, 1.5, diff="+ovn-host\n+ovn-common\n"))
    failed = Step("service ovn", Status.FAILED, 0.5, message="did not start", output="one\ntwo")
    log.step_completed(task(), LINUX, failed)
    log.stage_settled(
        "linux-1",
        StageResult(
            "install",
            StageStatus.FAILED,
            2.0,
            steps=(failed,),
            message="service ovn: did not start",
            output="one\ntwo",
            todo="look at the journal",
            rerun="python -m runbooks.task install --host linux-1",
        ),
    )
    prefix = "2026-11-23T05:14:09.123+00:00 [install] "
    assert text_of(log) == (
        f"{prefix}begins\n"
        f"{prefix}> packages\n"
        f"{prefix}| Reading package lists...\n"
        f"{prefix}changed packages (1.5 s)\n"
        "    +ovn-host\n    +ovn-common\n"
        f"{prefix}failed service ovn (0.5 s): did not start\n"
        "    one\n    two\n"
        f"{prefix}ends failed, 1 failed (2.0 s): service ovn: did not start\n"
        f"{prefix}to do: look at the journal\n"
        f"{prefix}run again: python -m runbooks.task install --host linux-1\n"
    )


def test_the_run_has_a_log_of_its_own(log: HostLog) -> None:
    """What was to be run, how each stage ended, what an interruption met, and the exit status."""
    log.stage_settled("linux-1", StageResult("install", StageStatus.SKIPPED, message="no Windows tasks yet"))
    log.run_completed(
        RunResult(plan(), MOMENT, MOMENT + timedelta(seconds=3), 130, {}, {"linux-1": "install: packages"})
    )
    lines = [line.split(" ", 1)[1] for line in run_log(log).splitlines()]
    assert lines == [
        f"bootstrap begins: cluster lab, release current, run {RUN}",
        "stages: install",
        "hosts: linux-1 (linux), run (linux)",
        "linux-1 install ends skipped (0.0 s): no Windows tasks yet",
        "interrupted while running on linux-1: install: packages",
        "ended after 3.0 s with exit status 130",
    ]


def test_only_the_owner_reads_logs(tmp_path: Path) -> None:
    """Folders have mode 0700 and files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        log = HostLog(tmp_path / "logs")
        log.run_started(plan())
        log.close()
        log.output_line(task(), LINUX, "hello")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "logs").rglob("*")}
    assert modes | {"latest": 0} == {RUN: 0o700, "latest": 0, "run.log": 0o600, "linux-1.log": 0o600}
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700


def test_an_entry_is_in_its_file_within_a_moment(log: HostLog) -> None:
    """Nobody has to end the run, or a stage, to see what is going on; what a killed run has lost is that moment."""
    log.step_started(task(), LINUX, "packages")
    path = log.path("linux-1")
    assert path is not None
    assert eventually(lambda: path.exists() and "> packages" in path.read_text(), seconds=10)


def test_no_secret_reaches_a_log(log: HostLog) -> None:
    """Whatever part of an event holds a secret, *** stands in the log."""
    secret = "correct-horse-battery"
    Secret(secret)
    log.task_instance_started(task(), LINUX)
    log.step_started(task(), LINUX, secret)
    log.output_line(task(), LINUX, f"echo {secret}")
    log.step_completed(task(), LINUX, Step(secret, Status.FAILED, 0, secret, secret, secret))
    log.stage_settled(
        "linux-1", StageResult("install", StageStatus.FAILED, message=secret, output=secret, todo=secret, rerun=secret)
    )
    failed = MultiResult("install")
    failed.append(Result(LINUX, exception=ValueError(secret), failed=True))
    log.task_instance_completed(task(), LINUX, failed)
    logging.getLogger("somebody").warning("password %s", secret)
    assert secret not in text_of(log) + run_log(log)
    assert "***" in text_of(log)
    assert "WARNING somebody: password ***" in run_log(log)


def test_a_host_cannot_write_an_entry(log: HostLog) -> None:
    """No text of a host begins a line, and none of its control characters reaches the file."""
    forged = "x\n2026-11-23T00:00:00.000+00:00 [install] ends ok\r\x1b[2K\x85y"
    log.output_line(task(), LINUX, forged)
    log.step_started(task(), LINUX, forged)
    log.step_completed(task(), LINUX, Step(forged, Status.FAILED, 0, forged, forged, forged + "\ud800"))
    log.stage_settled("linux-1", StageResult("install", StageStatus.FAILED, message=forged, output="!" + forged))
    text = text_of(log)
    assert len([line for line in text.splitlines() if ENTRY.match(line)]) == 4
    assert all(ENTRY.match(line) or line.startswith("    ") for line in text.splitlines())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_only_unexpected_errors_leave_a_traceback(log: HostLog) -> None:
    """An error made for operators has said all; of any other one the whole way is kept, of a subtask's too."""
    inner, outer = MultiResult("script"), MultiResult("install")
    try:
        int("by our own mistake")
    except ValueError as error:
        inner.append(Result(LINUX, exception=error, failed=True))
    outer.append(Result(LINUX, exception=NornirSubTaskError(task(), inner), failed=True))
    outer.append(inner)  # type: ignore[arg-type]  # as Nornir does with a subtask that has subtasks
    outer.append(Result(LINUX, exception=StepError("linux-1", "packages", "no space"), failed=True))
    log.task_instance_completed(task(), LINUX, outer)
    text = text_of(log)
    assert text.count("Traceback") == 1
    assert "by our own mistake" in text
    assert "test_host_log.py" in text


def test_a_host_called_run_has_a_log_of_its_own(log: HostLog) -> None:
    """No host's log is the run's, and none is outside the run's folder."""
    names = [path.name for host in ("run", "linux-1", "../x", "a/b", ".hidden") if (path := log.path(host))]
    assert names == ["run_.log", "linux-1.log", "_._x.log", "a_b.log", "_hidden.log"]


def test_latest_leads_to_the_newest_run_and_old_runs_go(tmp_path: Path) -> None:
    """The newest runs are kept by the time in their names; what is not named like a run is left alone."""
    for name in ("notes", "20261123T05", "20200101T000000Z-zzzz"):
        (tmp_path / name).mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "20200101T000000Z-1111").symlink_to(outside)
    runs = [f"2026112{day}T051409Z-1f3a" for day in range(1, 7)]
    for run_id in runs:
        log = HostLog(tmp_path, keep=3)
        log.run_started(plan(run_id))
        log.close()
    left = {path.name for path in tmp_path.iterdir()}
    kept = {"notes", "20261123T05", "20200101T000000Z-zzzz", "20200101T000000Z-1111", "outside", "latest"}
    assert left == {*runs[-3:], *kept}
    assert (tmp_path / "latest").readlink() == Path(runs[-1])


def test_a_run_of_long_ago_is_not_removed_while_it_runs(tmp_path: Path) -> None:
    """A clock that was set back does not make a run remove its own folder."""
    (tmp_path / RUN).mkdir()
    log = HostLog(tmp_path, keep=1)
    log.run_started(plan("20200101T000000Z-aaaa"))
    log.close()
    assert "begins" in run_log(log)


def test_something_else_called_latest_does_not_matter(tmp_path: Path) -> None:
    """A folder in the link's place is left alone, and the log is written all the same."""
    (tmp_path / "latest").mkdir()
    log = HostLog(tmp_path)
    log.run_started(plan())
    log.close()
    assert (tmp_path / "latest").is_dir()
    assert "begins" in run_log(log)
    assert {path.name for path in tmp_path.iterdir()} == {"latest", RUN}


def test_a_full_disk_is_one_warning(log: HostLog) -> None:
    """Events after it are fine, and logs of other hosts go on."""
    path = log.path("linux-1")
    assert path is not None
    path.symlink_to("/dev/full")
    guard = Guard(log, "log in logs")
    for _ in range(3):
        guard.output_line(task(), LINUX, "hello")
    guard.output_line(task(), Host(name="linux-2"), "hello")
    guard.close()
    assert "No space left on device" in guard.warning
    assert "3 events lost" in guard.warning
    assert "| hello" in text_of(log, "linux-2")


def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path: Path) -> None:
    """Without a folder there is no log, no path to one, and no further error."""
    (tmp_path / "logs").touch()
    log = HostLog(tmp_path / "logs")
    guard = Guard(log, "log in logs")
    guard.run_started(plan())
    guard.output_line(task(), LINUX, "hello")
    guard.close()
    assert "1 event lost" in guard.warning
    assert log.path("linux-1") is None


def test_a_thousand_hosts_cost_no_file_handles(log: HostLog) -> None:
    """Nothing stays open between two writes."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for number in range(1000):
        log.output_line(task(), Host(name=f"linux-{number}"), "hello")
    log.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert log.folder is not None
    assert len(list(log.folder.iterdir())) == 1001


def test_python_logging_is_left_as_it_was(tmp_path: Path) -> None:
    """The run takes its handler away when it ends, also when it is closed without an end."""
    before = list(logging.getLogger().handlers)
    log = HostLog(tmp_path)
    log.run_started(plan())
    assert logging.getLogger().handlers != before
    logging.getLogger("nornir.core.task").error("what the results say anyway")
    log.close()
    assert logging.getLogger().handlers == before
    assert "what the results say" not in run_log(log)
