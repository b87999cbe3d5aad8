"""What a check says: an id, a status, what was seen, what is wanted, and what to do about the difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from nornir.core.inventory import Host

from plugins.checks.facts import HostFacts
from plugins.steps import Status, Step, StepsResult

# The next thing to do about a host of which checks failed; what to do about each is in its own step.
REMEDY = "do what the failed checks say, then run this again"


class Grade(StrEnum):
    """How a check came out; a note is worth knowing and stops nothing."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    """One judgement. `todo` is an imperative sentence, and empty when all is well."""

    status: Grade
    seen: str
    wanted: str
    todo: str = ""


@dataclass(frozen=True)
class Check(Verdict):
    """A verdict with the id of the check that it is about."""

    id: str = ""

    def step(self) -> Step:
        """Give the check as a step of a task's result."""
        message = f"seen {shortened(self.seen)}; wanted {self.wanted}"
        if self.status is not Grade.OK:
            message += f"; {'a note only: ' if self.status is Grade.NOTE else ''}{self.todo}"
        status = Status.FAILED if self.status is Grade.FAILED else Status.OK
        return Step(name=f"check {self.id}", status=status, message=message)


def shortened(text: str, most: int = 500) -> str:
    """Keep what a host said on one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


Context = TypeVar("Context")


@dataclass(frozen=True)
class Rule(Generic[Context]):
    """One line of a list of checks: `wanted` and `todo` as the documentation has them, and the judge.

    A judge returns None where the check does not apply, and raises ValueError when a fact is missing or garbled.
    """

    id: str
    wanted: str
    todo: str
    judge: Callable[[HostFacts, Context], Verdict | None]


def judged(host: Host, steps: Iterable[Step], facts: Mapping[str, str] | None = None) -> StepsResult:
    """Give the result of a task that ends in checks: `steps` are its own and theirs."""
    result = StepsResult(host, tuple(steps), facts)
    result.todo = REMEDY if result.failed else ""
    return result


def judge_all(rules: Sequence[Rule[Context]], facts: HostFacts, context: Context) -> Iterator[Check]:
    """Judge by every rule, whatever the others say; a fact that cannot be read is a failed check."""
    for rule in rules:
        try:
            verdict = rule.judge(facts, context)
        except ValueError as error:
            todo = "look at the host's log of this run for what its tools said, mend that and run again"
            yield Check(Grade.FAILED, str(error), rule.wanted, todo, rule.id)
        else:
            if verdict is not None:
                todo = verdict.todo or ("" if verdict.status is Grade.OK else rule.todo)
                yield Check(verdict.status, verdict.seen, verdict.wanted or rule.wanted, todo, rule.id)


def ok(seen: object, wanted: str = "") -> Verdict:
    """All is as wanted; an empty `wanted` is the rule's own."""
    return Verdict(Grade.OK, str(seen), wanted)


def note(seen: object, wanted: str = "", todo: str = "") -> Verdict:
    """Not as wanted, but it works; empty texts are the rule's own."""
    return Verdict(Grade.NOTE, str(seen), wanted, todo)


def failed(seen: object, wanted: str = "", todo: str = "") -> Verdict:
    """Not as wanted; empty texts are the rule's own."""
    return Verdict(Grade.FAILED, str(seen), wanted, todo)


def at_least(number: int, least: int, unit: str) -> Verdict:
    """Compare with a lower limit."""
    return (ok if number >= least else failed)(f"{number} {unit}", f"at least {least} {unit}")
