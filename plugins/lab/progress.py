"""Plain lines that say what the lab does and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]


def silent(_line: str) -> None:
    """Say nothing: for callers that show their own progress."""


@contextmanager
def timed(say: Say, doing: str) -> Iterator[None]:
    """Say `doing` at once, and again with the seconds when it is done. A failure says so and goes on up."""
    say(f"{doing} ...")
    begin = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"{doing}: not done after {time.monotonic() - begin:.1f} s")
        raise
    say(f"{doing}: {time.monotonic() - begin:.1f} s")
