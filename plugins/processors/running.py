"""What runs where at any moment, for the words about an interruption."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nornir.core.inventory import Host
from nornir.core.task import Task

from plugins.processors.base import RunProcessor
from plugins.results import StageResult


@dataclass(frozen=True)
class Moment:
    """How far a host is in a stage: the latest step that was heard of, and whether a script may be running there."""

    stage: str
    step: str = ""
    script: bool = False

    def words(self, *, windows: bool) -> str:
        """Say where an interruption at this moment finds the host, and what becomes of the script."""
        if not self.script:
            return f"{self.step}; no script was running" if self.step else "connect; no script was sent"
        if windows:  # such a host ends what runs in a shell when the shell is closed
            return f"{self.step or 'before its first step'}; the script is ended with its connection"
        if self.step:
            return f"{self.step}; the script goes on to its end on the host"
        return "before its first step; if the script has come to the host whole, it goes on to its end there"


class Running(RunProcessor):
    """Remembers what runs where, to say so when the run is interrupted."""

    def __init__(self) -> None:
        self.hosts: dict[str, Moment] = {}

    def task_instance_started(self, task: Task, host: Host) -> None:
        """Remember the stage."""
        self.hosts[host.name] = Moment(task.name)

    def script_started(self, task: Task, host: Host) -> None:
        """Forget the steps of the script before it."""
        self.hosts[host.name] = Moment(task.name, script=True)

    def step_started(self, task: Task, host: Host, name: str) -> None:
        """Remember the step."""
        self.hosts[host.name] = Moment(task.name, name, script=True)

    def script_ended(self, task: Task, host: Host) -> None:
        """Remember the script's last step only."""
        self.hosts[host.name] = replace(self.hosts.get(host.name, Moment(task.name)), script=False)

    def stage_settled(self, host: str, result: StageResult) -> None:  # noqa: ARG002
        """Forget the host."""
        self.hosts.pop(host, None)
