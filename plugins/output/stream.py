"""A stream whose reader may go away, or whose disk may fill up, without ending the run."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from typing import TextIO, cast


class SteadyStream:
    """Writes to `inner` for as long as that works; `error` is what ended it. Safe to use from many threads.

    It has of a text file what rich's Console asks for.
    """

    def __init__(self, inner: TextIO | None) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self.error: OSError | None = None
        self.encoding: str = getattr(inner, "encoding", None) or "utf-8"

    @property
    def warning(self) -> str:
        """One line that says what ended it; empty where nothing did. Whoever closes a pipe has read enough."""
        if self.error is None or isinstance(self.error, BrokenPipeError):
            return ""
        return f"Warning: the output could not be written: {self.error.strerror}"

    def isatty(self) -> bool:
        """Whether a terminal reads."""
        return self._inner is not None and self._inner.isatty()

    def fileno(self) -> int:
        """Give the descriptor of `inner`; OSError when it has none."""
        if self._inner is None:
            raise OSError("standard output is closed")
        return self._inner.fileno()

    def write(self, text: str) -> int:
        """Write, or drop the text when writing has failed before."""
        with self._lock:
            if self._inner is not None and self.error is None:
                try:
                    return self._inner.write(text)
                except OSError as error:
                    self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush, if there still is somebody to read."""
        with self._lock:
            if self._inner is not None and self.error is None:
                try:
                    self._inner.flush()
                except OSError as error:
                    self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Lead the descriptor nowhere: what is still buffered would fail again when Python ends."""
        self.error = error
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
        except OSError:
            return


def steadily(command: Callable[[], int]) -> int:
    """Give the exit status of `command`, whose output may be lost: that is said, and is no success."""
    stream = SteadyStream(sys.stdout)
    try:
        with contextlib.redirect_stdout(cast(TextIO, stream)):
            status = command()
    except SystemExit as end:  # which is how typer ends
        status = int(end.code or 0)
    stream.flush()
    if not stream.warning:
        return status
    print(stream.warning, file=sys.stderr)
    return status or 1
