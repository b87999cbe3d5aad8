"""What a stage found out on all hosts, as a later stage gets it to compare them with each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from plugins.steps import StepsResult

Made = TypeVar("Made")


class Gathered(dict[str, StepsResult]):
    """Results of one stage by host name; all hosts get the same object.

    What a host is compared with is the same for every host, too. Made anew by each it would cost the square of
    their number: at 1,000 hosts that was two thirds of a whole run.
    """

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._lock = threading.Lock()
        self._made: dict[str, tuple[int, Any]] = {}

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """Give what `make` made under this `name`; made anew only when results have come in since."""
        with self._lock:
            size, made = self._made.get(name, (-1, None))
            if size != len(self):
                size, made = self._made[name] = len(self), make()
        return cast("Made", made)
