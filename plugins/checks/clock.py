"""How far clocks are apart, given that asking takes time.

A host's clock was read at some moment between two of this machine's; so its offset is only known to lie between
two values, and a difference counts only as far as it is certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plugins.checks.facts import HostFacts
from plugins.steps import Step

SECOND = 1_000_000  # microseconds


@dataclass(frozen=True)
class Offset:
    """By how much a clock is ahead of this machine's: between `least` and `most` microseconds."""

    least: int
    most: int

    @property
    def middle(self) -> float:
        """The best guess, in seconds."""
        return (self.least + self.most) / 2 / SECOND

    def certain(self, other: Offset) -> float:
        """Seconds that the two are apart for certain: 0 when both may show the same time."""
        return max(0, self.least - other.most, other.least - self.most) / SECOND

    def words(self, other: Offset, whose: str) -> str:
        """Say how this one compares to the other, `whose` clock that is."""
        ahead = self.middle - other.middle
        unsure = (self.most - self.least + other.most - other.least) / 2 / SECOND
        return f"{abs(ahead):.2f} s {'ahead of' if ahead >= 0 else 'behind'} {whose} (to within {unsure:.2f} s)"


HERE = Offset(0, 0)


def clock_facts(asked: float, answered: float, steps: Sequence[Step]) -> dict[str, str]:
    """Narrow down when the fact `clock` was read, which is at the end of the step that gathers.

    `asked` and `answered` are seconds since 1970 on this machine's clock, around the whole script. The host
    itself says how long its steps took, among them waiting for another script.
    """
    gathered = next((number for number, step in enumerate(steps) if step.name.startswith("gather")), len(steps))
    before = sum(step.seconds for step in steps[: gathered + 1])
    after = sum(step.seconds for step in steps[gathered + 1 :])
    return {
        "clock_earliest": str(int((asked + before) * SECOND)),
        "clock_latest": str(int((answered - after) * SECOND)),
    }


def offset(facts: HostFacts) -> Offset:
    """Read a host's offset out of its facts, with those of clock_facts among them."""
    clock, earliest, latest = (facts.number(name) for name in ("clock", "clock_earliest", "clock_latest"))
    # The last instants of a step fall after the clock was read.
    return Offset(clock - max(earliest, latest), clock - min(earliest, latest))
