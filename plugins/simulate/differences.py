"""Unified diffs as GNU diff writes them, without its time stamps."""

from __future__ import annotations

import difflib


def unified(old: str, new: str, old_label: str, new_label: str) -> str:
    """Compare two texts; equal ones give an empty text."""
    lines = difflib.unified_diff(_lines(old), _lines(new), old_label, new_label)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Cut at newlines alone: splitlines() knows more line ends than diff does."""
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([last] if last else [])
