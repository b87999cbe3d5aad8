"""Bytes in, lines out, with a bound on what one line may take in memory."""

from __future__ import annotations

from collections.abc import Callable

from plugins.steps import LINE_LIMIT


class LineSplitter:
    """Cuts a stream into lines; of a line over the limit only its beginning and one byte over the limit are kept."""

    def __init__(self, on_line: Callable[[bytes], None], limit: int = LINE_LIMIT) -> None:
        self._on_line, self._limit = on_line, limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._keep(line)
            self._flush()
        self._keep(rest)

    def end(self) -> None:
        """Take the end of the stream: an open last line is a line."""
        if self._rest:
            self._flush()

    def _keep(self, piece: bytes) -> None:
        self._rest += piece[: max(0, self._limit + 1 - len(self._rest))]

    def _flush(self) -> None:
        line = bytes(self._rest)
        self._rest.clear()
        self._on_line(line)
