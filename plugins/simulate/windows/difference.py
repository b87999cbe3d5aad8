"""Diffs as the PowerShell library writes them: one hunk, from the first line that differs to the last."""

from __future__ import annotations

import re
from itertools import takewhile

CONTEXT = 3  # lines


def difference(old: str, new: str, old_label: str, new_label: str) -> str:
    """Compare two texts; equal ones give an empty text."""
    if old == new:
        return ""
    # A newline is the only end of a line.
    before, after = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (old, new))
    first = _alike(before, after)
    same = min(_alike(before[::-1], after[::-1]), min(len(before), len(after)) - first)
    start, tail = max(0, first - CONTEXT), min(CONTEXT, same)
    counts = [len(side) - same + tail - start for side in (before, after)]
    spans = [f"{start + 1 if count else start},{count}" for count in counts]
    lines = [
        *(f" {line}" for line in before[start:first]),
        *(f"-{line}" for line in before[first : len(before) - same]),
        *(f"+{line}" for line in after[first : len(after) - same]),
        *(f" {line}" for line in before[len(before) - same :][:tail]),
    ]
    text = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return f"--- {old_label}\n+++ {new_label}\n@@ -{spans[0]} +{spans[1]} @@\n{text}"


def _alike(one: list[str], other: list[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
