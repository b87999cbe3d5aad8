"""What a runbook is made of: stages, on which roles, and what each needs first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nornir.core.task import Result

from plugins.context import RunContext
from plugins.errors import SelectionError
from plugins.inventory.model import HostSettings, Role
from plugins.words import quoted, suggestion

LINUX_ROLES = (Role.MASTER, Role.LINUX)


class Scope(StrEnum):
    """Whose stage a need is about."""

    HOST = "this host"
    MASTER = "the master"
    ALL = "all hosts that have not failed"


@dataclass(frozen=True)
class Need:
    """`stage` must have gone well first, on the hosts of `scope`; `reason` says why, for the reader and the tests.

    `roles` are those of the hosts that need it; all, unless told.
    """

    stage: str
    scope: Scope
    reason: str
    roles: Sequence[Role] = tuple(Role)


def lacks_nothing(context: RunContext, hosts: Collection[HostSettings]) -> None:
    """Say that a stage is ready; a function with a name, as runbooks travel to workers elsewhere."""


@dataclass(frozen=True)
class Stage:
    """One line of a runbook.

    `gathers` names an earlier stage whose results, by host name, the task gets as `gathered`.
    `always` runs the stage whatever became of its needs, as soon as they are settled (to tidy up).
    `kubernetes` marks what is left out of a cluster that is an overlay alone.
    `after_changes` false: in a dry run the stage is skipped once something would change on any host, as there is
    nothing to look at yet.
    `ready` raises UsageError where the run lacks what the stage takes on these hosts; it is asked before any
    host is touched.
    """

    name: str
    task: Callable[..., Result]
    roles: Sequence[Role] = LINUX_ROLES
    needs: tuple[Need, ...] = ()
    gathers: str = ""
    always: bool = False
    after_changes: bool = True
    ready: Callable[[RunContext, Collection[HostSettings]], None] = lacks_nothing
    kubernetes: bool = False


@dataclass(frozen=True)
class Runbook:
    """A title and a flat list of stages. `changes` is false for one that only ever looks.

    `again` is the command that runs one stage of it again on one host; {stage} stands for the stage.
    With `with_master` the master takes part whatever hosts are selected.
    """

    name: str
    title: str
    stages: tuple[Stage, ...]
    changes: bool = True
    again: tuple[str, ...] = ("runbooks.task", "{stage}")
    with_master: bool = False

    def stage(self, name: str) -> Stage:
        """Find a stage by its name or its task's; raises SelectionError with the known ones."""
        wanted = name.replace("_", "-")
        for stage in self.stages:
            if wanted in {stage.name, stage.task.__name__.replace("_", "-")}:
                return stage
        known = [stage.name for stage in self.stages]
        todo = suggestion(wanted, known, "the stages are", len(known))  # --help relies on that
        raise SelectionError(f"no stage {quoted(name)} in {self.name}: {todo}")

    def __post_init__(self) -> None:
        """Refuse a list that does not read from top to bottom."""
        seen: set[str] = set()
        for stage in self.stages:
            for needed in (*(need.stage for need in stage.needs), *([stage.gathers] if stage.gathers else [])):
                if needed not in seen:
                    raise ValueError(f"{self.name}: stage {stage.name} needs {needed}, which does not come before it")
            if stage.name in seen:
                raise ValueError(f"{self.name}: stage {stage.name} is there twice")
            seen.add(stage.name)
