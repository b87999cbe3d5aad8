"""What a simulated script does, one effect after the other; each transport carries them out in its own way."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Say:
    """Write to standard output."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Complain:
    """Write to standard error."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass; infinity is a script that hangs."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hear:
    """Wait for one line of input: the answer has its newline, is empty at the end, or None after `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HearAll:
    """Wait for the end of the input: the answer is all that is left of it."""


@dataclass(frozen=True, slots=True)
class HearBytes:
    """Wait for so many bytes of input: the answer is shorter where the input ends before."""

    size: int


@dataclass(frozen=True, slots=True)
class Limit:
    """From here on the script is ended after `seconds`, as `timeout` does it (exit status 124)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is dropped; the script goes on."""


@dataclass(frozen=True, slots=True)
class Apart:
    """Do something that takes its time where it holds up no other host: the answer is what it gives."""

    work: Callable[[], bytes]


Effect = Say | Complain | Pause | Hear | HearAll | HearBytes | Limit | Cut | Apart
Script = Generator[Effect, bytes | None, int]
"""Yields effects, takes the answers to those that have one, returns the exit status."""
Part = Generator[Effect, bytes | None, None]
