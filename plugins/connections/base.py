"""All that a task may know of a transport: a shell that carries a script to a host and its lines back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Completed:
    """How a script ended, as the transport saw it.

    `exit_status` is the remote one, or None when the connection ended before it came; `lost` then says how.
    `stderr` holds the last bytes of standard error. `unsent` says that the host cannot have the whole script, and runs
    nothing of it.
    """

    exit_status: int | None
    stderr: bytes = b""
    lost: str = ""
    unsent: bool = False


class Shell(Protocol):
    """An open connection to one host. Only one script runs on it at a time."""

    def run(self, script: bytes, *, deadline: float, on_line: Callable[[bytes], None]) -> Completed:
        """Send `script`, hand each line of its standard output to `on_line`, return when it has ended.

        `deadline` is in seconds and holds on the host too: a script that takes longer is ended there.
        The script outlives a lost connection: it goes on to its end on the host.
        """

    def feed(
        self, script: bytes, data: Iterable[bytes], *, deadline: float, on_line: Callable[[bytes], None]
    ) -> Completed:
        """Run `script` as `run` does, with `data` as its standard input."""

    def hold(self, script: bytes, *, on_line: Callable[[bytes], None]) -> Holder:
        """Start `script` and leave it running beside other scripts until the holder is closed."""

    def close(self) -> None:
        """Close the connection; safe to call twice and from another thread, which ends a running script's wait."""


class Holder(Protocol):
    """A script that runs for as long as it is held."""

    def beat(self) -> bool:
        """Tell the script that its holder is alive; false when it has ended."""

    def ended(self) -> Completed | None:
        """Say how the script ended, after its last line was handed on; None while it runs."""

    def close(self) -> None:
        """Let go: the script sees the end of its input and ends."""
