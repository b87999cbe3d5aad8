"""Sides of a comparison that are measured in turns, so that whatever else the machine does meets all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

Side = Callable[[], float]
"""Makes one run and gives its seconds of wall time; RunbookError when the run was not as it should be."""

PLAIN = "plain ssh"


@dataclass(frozen=True)
class Turns:
    """What was measured with so many hosts: seconds by side, in the order of measuring."""

    hosts: int
    seconds: dict[str, list[float]]

    def ratio(self, side: str, to: str = PLAIN) -> float:
        """Give how many times as long as another side takes: median by median."""
        return median(self.seconds[side]) / median(self.seconds[to])


def in_turns(hosts: int, sides: Mapping[str, Side], repeat: int, fewer: Mapping[str, int]) -> Turns:
    """Measure every side `repeat` times, after a first time that fills caches and is not counted.

    `fewer` names sides that take long, and in how many of these turns they are measured; they have no first time, as
    minutes hide what it fills.
    """
    turns = Turns(hosts, {name: [] for name in sides})
    began = time.monotonic()
    for turn in range(repeat + 1):
        for name, side in sides.items():
            if name in fewer and not 1 <= turn <= fewer[name]:
                continue
            seconds = side()
            if turn:
                turns.seconds[name].append(seconds)
        left = (time.monotonic() - began) / (turn + 1) * (repeat - turn)
        print(f"{hosts} hosts: turn {turn} of {repeat}, about {left:.0f} s to go", file=sys.stderr, flush=True)
    return turns
