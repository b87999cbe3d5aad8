"""The same for several hosts at once; each gets its turn although another fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from plugins.errors import RunbookError

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8


def each(items: Sequence[T], work: Callable[[T], R]) -> list[R]:
    """`work` on every item, results in the items' order. What failed is raised when all have ended, as one error."""
    if not items:
        return []
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        futures = [pool.submit(work, item) for item in items]
    raise_all([error for future in futures if (error := future.exception()) is not None])
    return [future.result() for future in futures]


def raise_all(errors: Sequence[BaseException]) -> None:
    """Raise the only error, or one that says them all; one that nobody foresaw goes first, as it is."""
    for error in errors:
        if len(errors) == 1 or not isinstance(error, RunbookError):
            raise error
    if errors:
        raise RunbookError("\n".join(str(error) for error in errors))
