"""Words for error texts: the nearest known name, and lists of names that stay short."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def plain(text: str, most: int = 80) -> str:
    """Put text that somebody wrote on one line, without control characters, cut after `most` characters."""
    shown = text if len(text) <= most else text[: most - 3] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def quoted(value: object) -> str:
    """Show what somebody wrote as a quoted word."""
    return f'"{plain(str(value))}"'


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that `word` was most likely meant to be."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def listed(names: Sequence[str], most: int = 20) -> str:
    """Join names by commas, or say "none"; beyond `most` of them, say how many more there are."""
    more = len(names) - most
    return (", ".join(names[:most]) or "none") + (f" and {more} more" if more > 0 else "")


def suggestion(word: str, known: Sequence[str], what: str, most: int = 20) -> str:
    """Say what to write instead of the unknown `word`; `what` names the known ones in the plural, `most` of them."""
    meant = nearest(word, known)
    return f"did you mean {quoted(meant)}?" if meant else f"{what}: {listed(known, most)}"
