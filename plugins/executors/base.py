"""All that the scheduler knows of where tasks run."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from plugins.attempts import Attempt
from plugins.gathered import Gathered
from plugins.graph import Pair


class Executor(Protocol):
    """Runs pairs; a host keeps its connection from its first pair until it is released."""

    def connect(self, host: str) -> None:
        """Begin to connect to a host, side by side with all else; whoever is not reached fails in its first stage."""

    def submit(self, pair: Pair) -> Future[Attempt]:
        """Run a pair as soon as there is room for it."""

    def share(self, stage: str, gathered: Gathered) -> None:
        """Hear what a stage found out on all hosts, before the first pair that compares it is submitted."""

    def release(self, host: str) -> None:
        """Close the host's connection: nothing is left to run there."""

    def close(self) -> None:
        """Run nothing more, without waiting for what runs; safe to call twice."""
