"""The primitive that every task stands on: render a template, send it, return what its steps said."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nornir.core.task import Task

from plugins.connections import close_shell, reopen_shell, shell_of
from plugins.connections.base import Completed
from plugins.context import RebootPolicy, RunContext, context_of
from plugins.errors import SudoError, UnreachableError
from plugins.languages import BASH, language_of
from plugins.processors.base import RunProcessor
from plugins.steps import (
    Asks,
    Begin,
    Output,
    Status,
    Step,
    StepsResult,
    Transcript,
    parse_line,
)

PIECE = 256 * 1024  # bytes


def run_script(
    task: Task,
    template: str,
    *,
    deadline: float | None = None,
    data: Sequence[Path] = (),
    look_only: bool = False,
    **values: Any,
) -> StepsResult:
    """Run `template` (below templates/) on the task's host, `values` filled in, and do what its steps ask for.

    A step can ask for a reboot, for a confirmation that the host is still reached after a network change, or for
    files of the mirror; the script is then run again from its start, and ends as one result. Every way in which a
    script can end badly is a failed step that says what was seen. `deadline` is in seconds, the settings' own by
    default; the content of the files `data`, one after the other, is the script's input. `look_only` runs it as in a
    dry run: nothing is written, and no other script on the host is waited for.
    Raises UnreachableError when no connection can be made.
    """
    context = context_of(task)
    values = {"reboot": context.reboot, **values}
    result = _send(task, template, deadline, values, data, look_only=look_only)
    rebooted: set[str] = set()
    for _ in range(3):  # a reboot and a network change may both be asked for, one after the other
        asked = _asked(result)
        if asked is None or result.failed:
            return result
        if asked.asks is Asks.REBOOT:
            if asked.name in rebooted:
                break
            rebooted.add(asked.name)
        answer = _ANSWERS[asked.asks](task, result)
        result = _merged(task, _answered(task, result, asked), answer)
        if not result.failed:
            policy = RebootPolicy.NEVER if rebooted else values["reboot"]
            result = _merged(task, result, _send(task, template, deadline, values | {"reboot": policy}, data))
    if (asked := _asked(result)) is not None:
        unanswered = Step(asked.name, Status.FAILED, message="the host asks for it again and again")
        return _merged(task, result, StepsResult(task.host, (unanswered,)))
    return result


def _asked(result: StepsResult) -> Step | None:
    return next((step for step in result.steps if step.asks and step.status is Status.CHANGED), None)


def _answered(task: Task, result: StepsResult, asked: Step) -> StepsResult:
    steps = tuple(replace(step, asks=Asks.NOTHING) if step is asked else step for step in result.steps)
    return StepsResult(task.host, steps, result.facts, result.todo, result.secrets)


def _merged(task: Task, before: StepsResult, after: StepsResult) -> StepsResult:
    """Chain two runs of a script: a step that changed in the first and is ok in the second has changed."""
    steps: dict[str, Step] = {}
    for step in (*before.steps, *after.steps):
        known = steps.get(step.name)
        if known is None or step.status is not Status.OK:
            steps[step.name] = step
    return StepsResult(
        task.host,
        tuple(steps.values()),
        before.facts | after.facts,
        after.todo or before.todo,
        before.secrets | after.secrets,
    )


def _send(
    task: Task,
    template: str,
    deadline: float | None,
    values: dict[str, Any],
    data: Sequence[Path] = (),
    *,
    look_only: bool = False,
) -> StepsResult:
    """Run the script once."""
    context = context_of(task)
    limit = deadline or context.settings.script_deadline
    marker = f"@{secrets.token_hex(16)} "
    settings = {"marker": marker, "dry_run": look_only or task.is_dry_run(), "owner": f"{context.owner}, {task.name}"}
    script = language_of(task.host).script(task, template, values, wait=limit - 5, **settings)
    transcript, done = _carry(task, script, marker, limit, data)
    steps = tuple(transcript.steps)
    problem = _problem(task, transcript, done, limit)
    if problem is not None:
        steps = (*steps, problem)
        close_shell(task.host)  # whatever state it is in, the next script gets a new one
    result = StepsResult(task.host, steps, transcript.facts, secrets=transcript.secrets)
    result.lost = done.exit_status is None
    return result


def _carry(task: Task, script: str, marker: str, limit: float, data: Sequence[Path]) -> tuple[Transcript, Completed]:
    transcript = Transcript()
    listeners = [each for each in task.processors if isinstance(each, RunProcessor)]

    def on_line(raw: bytes) -> None:
        event = parse_line(raw, marker)
        transcript.add(event)
        for listener in listeners:
            if isinstance(event, Begin):
                listener.step_started(task, task.host, event.name)
            elif isinstance(event, Step):
                listener.step_completed(task, task.host, event)
            elif isinstance(event, Output) and event.text:
                listener.output_line(task, task.host, event.text)

    shell = shell_of(task)
    for listener in listeners:
        listener.script_started(task, task.host)
    if data:
        done = shell.feed(script.encode(), _pieces(data), deadline=limit, on_line=on_line)
    else:
        done = shell.run(script.encode(), deadline=limit, on_line=on_line)
    for listener in listeners if done.exit_status is not None else ():
        listener.script_ended(task, task.host)
    return transcript, done


def _pieces(files: Sequence[Path]) -> Iterator[bytes]:
    for file in files:
        with file.open("rb") as stream:
            while piece := stream.read(PIECE):
                yield piece


def _problem(task: Task, transcript: Transcript, done: Completed, limit: float) -> Step | None:
    """Name what went wrong with the script as a whole, as a failed step; None when it came to its end."""
    words = done.stderr.decode(errors="replace").strip()
    where = transcript.running or (f"after {transcript.steps[-1].name}" if transcript.steps else "start of the script")

    def failed(message: str) -> Step:
        return Step(where, Status.FAILED, message=message, output=words)

    if transcript.failed:
        return None
    if done.exit_status is None:
        return failed(f"{done.lost}; {_fate(task, done)}running again is safe")
    if transcript.garbled:
        return failed(f"a step line cannot be read: {transcript.garbled[:200]}")
    if transcript.ended and done.exit_status == 0:
        return None
    if done.exit_status in {124, 137}:
        return failed(f"not over after {limit:g} s: the host ended it")
    if not transcript.steps and not transcript.running:
        return failed(_not_started(task, done))
    return failed(f"the script ended here with exit status {done.exit_status} and without its end line")


def _fate(task: Task, done: Completed) -> str:
    """Say what becomes of a script whose connection is lost."""
    if done.unsent:
        return "nothing ran; "
    # A Windows host ends what runs in a shell when the shell is closed.
    return "the script goes on to its end on the host; " if language_of(task.host) is BASH else ""


def _not_started(task: Task, done: Completed) -> str:
    user = task.host.username or "the user"
    if done.exit_status == 97:
        return "the line was cut while the script was sent: nothing ran"
    if language_of(task.host) is not BASH:
        return (
            f"the script did not start (exit status {done.exit_status}): the host needs Windows PowerShell 5.1, and "
            "a policy that lets scripts run in it (AppLocker or Device Guard may not)"
        )
    if done.exit_status == 0:
        return f"exit status 0, but the script did not run: a login profile of {user} may read the standard input"
    if user != "root":
        return (
            f"the script did not start (exit status {done.exit_status}): {user} needs a login shell and sudo, "
            "without a password or with sudo.password"
        )
    return (
        f"the script did not start (exit status {done.exit_status}): does {user} have a login shell, and the host bash?"
    )


def _reboot(task: Task, asked: StepsResult) -> StepsResult:
    from tasks.reboot_host import reboot_host  # noqa: PLC0415  # which is itself made of scripts

    result: StepsResult = reboot_host(task, boot_id=asked.facts.get("boot_id", ""))
    return result


def _push(task: Task, asked: StepsResult) -> StepsResult:
    from tasks.push_artifacts import push_artifacts  # noqa: PLC0415  # which is itself made of scripts

    result: StepsResult = push_artifacts(task, wanted=asked.facts.get("wanted", ""))
    return result


def _confirm(task: Task, asked: StepsResult) -> StepsResult:
    """Reach the host over a new connection and tell it so; else it takes its network change back by itself."""
    context: RunContext = context_of(task)
    limit = context.settings.network_confirm_deadline
    until = time.monotonic() + limit
    while True:
        close_shell(task.host)
        reopen_shell(task, until - time.monotonic(), pause=1.0)
        # A connection that came up just before the change took hold is lost with it, before its script or in it.
        try:
            answer = _send(task, "linux/confirm_network.sh.j2", 60, {"token": asked.facts.get("confirm_token", "")})
        except SudoError:
            raise
        except UnreachableError:
            if time.monotonic() >= until or context.stop.wait(1):
                raise
            continue
        if not answer.lost or time.monotonic() >= until or context.stop.wait(1):
            return answer


_ANSWERS: dict[Asks, Callable[[Task, StepsResult], StepsResult]] = {
    Asks.REBOOT: _reboot,
    Asks.CONFIRM: _confirm,
    Asks.PUSH: _push,
}
