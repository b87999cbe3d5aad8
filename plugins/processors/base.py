"""What a processor can listen to: Nornir's six events, and those of a run and its steps."""

from __future__ import annotations

from nornir.core.inventory import Host
from nornir.core.task import AggregatedResult, MultiResult, Task

from plugins.results import RunPlan, RunResult, StageResult
from plugins.steps import Step


class RunProcessor:
    """A Nornir processor that also hears of the run and of single steps; every event does nothing by default.

    Host events come from worker threads, several at once; `run_*` events come from the main thread.
    """

    def run_started(self, plan: RunPlan) -> None:
        """Before the first stage: what will be run on which hosts."""

    def run_completed(self, result: RunResult) -> None:
        """After the last stage, also when the run was interrupted."""

    def stage_settled(self, host: str, result: StageResult) -> None:
        """Hear that one stage of one host has its final result, skipped ones included."""

    def script_started(self, task: Task, host: Host) -> None:
        """Hear that a script is sent to the host, or with workers elsewhere that one may be from now on."""

    def script_ended(self, task: Task, host: Host) -> None:
        """Hear that the script is over; not where the connection is lost before."""

    def step_started(self, task: Task, host: Host, name: str) -> None:
        """Hear that a step has begun on the host."""

    def step_completed(self, task: Task, host: Host, step: Step) -> None:
        """Hear that a step has ended."""

    def output_line(self, task: Task, host: Host, text: str) -> None:
        """Hear a line that was not a step line."""

    def task_started(self, task: Task) -> None:
        """Before the first host of a stage starts."""

    def task_completed(self, task: Task, result: AggregatedResult) -> None:
        """After the last host of a stage ended."""

    def task_instance_started(self, task: Task, host: Host) -> None:
        """Hear that one host starts a stage."""

    def task_instance_completed(self, task: Task, host: Host, result: MultiResult) -> None:
        """Hear that one host ended a stage."""

    def subtask_instance_started(self, task: Task, host: Host) -> None:
        """Before a task's own subtask."""

    def subtask_instance_completed(self, task: Task, host: Host, result: MultiResult) -> None:
        """After a task's own subtask."""
