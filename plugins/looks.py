"""Read-only looks at needs outside the selection, each made once a run whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Callable

from nornir.core.task import MultiResult

from plugins.graph import Pair
from plugins.stages import Stage


class Looks:
    """Remembers what a dry run of a stage on a host said; one that is under way is waited for."""

    def __init__(self, run: Callable[..., MultiResult]) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._locks: dict[Pair, threading.Lock] = {}
        self._seen: dict[Pair, MultiResult] = {}

    def at(self, stage: Stage, host: str) -> MultiResult:
        """Look at one stage of one host."""
        pair = Pair(stage.name, host)
        with self._lock:
            lock = self._locks.setdefault(pair, threading.Lock())
        with lock:
            if pair not in self._seen:
                self._seen[pair] = self._run(stage, host, dry_run=True)
            return self._seen[pair]
