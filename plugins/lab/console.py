"""A host's console on disk, never larger than two files of a stated size."""

from __future__ import annotations

import os
import threading
from io import FileIO
from pathlib import Path

LIMIT = 1 << 20


class ConsoleLog:
    """Copies a pipe to a file in a thread of its own. A full file becomes `.1`, in the place of the one before."""

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path, self.limit = path, limit
        self._file = self._open()
        self._threads: list[threading.Thread] = []

    def copy(self, pipe: int) -> None:
        """Begin to copy `pipe`, and close it at its end."""
        thread = threading.Thread(target=self._copy, args=(pipe,), daemon=True, name=f"console {self.path}")
        thread.start()
        self._threads.append(thread)

    def write(self, data: bytes) -> None:
        """Append to the log."""
        if self._file.tell() + len(data) > self.limit:
            self._file.close()
            self.path.replace(self.path.with_suffix(self.path.suffix + ".1"))
            self._file = self._open()
        self._file.write(data)

    def close(self) -> None:
        """Wait for the pipes to end, and close the file."""
        for thread in self._threads:
            thread.join(timeout=2)
        self._file.close()

    def _copy(self, pipe: int) -> None:
        with os.fdopen(pipe, "rb", buffering=0) as source:
            while data := source.read(1 << 16):
                self.write(data[-self.limit :])

    def _open(self) -> FileIO:
        return self.path.open("ab", buffering=0)
