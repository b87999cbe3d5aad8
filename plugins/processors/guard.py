"""A processor's own error must never cost a run: Nornir would drop every host's result with it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

from plugins.output.text import one_line, plural
from plugins.processors.base import RunProcessor

_log = logging.getLogger(__name__)
# Without any handler, logging would print tracebacks into the live display.
_log.addHandler(logging.NullHandler())
_EVENTS = tuple(name for name in vars(RunProcessor) if not name.startswith("_"))


class EventsLostError(Exception):
    """Earlier events came to nothing: why, and how many of them."""

    def __init__(self, why: str, count: int) -> None:
        super().__init__(why)
        self.count = count


class Guard(RunProcessor):
    """Passes every event on to `inner`; what that raises is logged once and kept as one warning.

    `name` is what the warning calls it. Ctrl-C is not an error of the processor's and goes through.
    """

    def __init__(self, inner: RunProcessor, name: str) -> None:
        self.inner, self.name = inner, name
        self._lock = threading.Lock()
        self._first: BaseException | None = None
        self._lost = 0
        for event in _EVENTS:
            setattr(self, event, self._guarded(getattr(inner, event)))

    def close(self) -> None:
        """Close `inner`, if it is something that is opened and closed."""
        close = getattr(self.inner, "close", None)
        if close is not None:
            self._guarded(close)()

    @property
    def warning(self) -> str:
        """One line that says what went wrong, or nothing."""
        if self._first is None:
            return ""
        reason = one_line(str(self._first)) or type(self._first).__name__
        return f"{self.name}: {reason} ({plural(self._lost, 'event')} lost; the run itself is not affected)"

    def _guarded(self, call: Callable[..., None]) -> Callable[..., None]:
        def guarded(*args: Any, **kwargs: Any) -> None:
            try:
                call(*args, **kwargs)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # rich leaves by SystemExit on a closed pipe
                self._note(error)

        return guarded

    def _note(self, error: BaseException) -> None:
        with self._lock:
            self._lost += error.count if isinstance(error, EventsLostError) else 1
            if self._first is not None:
                return
            self._first = error
        with contextlib.suppress(Exception):
            _log.warning("%s stopped working", self.name, exc_info=error)
