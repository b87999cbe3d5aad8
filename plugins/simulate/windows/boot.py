"""Scheduled tasks of a simulated Windows host: the script that one names is played at boot, and its output kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plugins.simulate.drive import Drive
from plugins.simulate.files import Entry, Kind
from plugins.simulate.session import play
from plugins.simulate.windows.state import where

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

_TASK = re.compile(r"at boot as SYSTEM: .* -File (?P<script>\S+) > (?P<log>\S+) 2>&1")


class _LogFile:
    """Where the output of a task goes."""

    def __init__(self, host: SimulatedHost, path: str) -> None:
        self._host, self._path, self._text = host, path, ""

    def say(self, data: bytes) -> None:
        self._text += data.decode()
        self._host.state.files.place(where(self._path), Entry(Kind.FILE, "inherited", "", self._text))

    complain = say

    def finish(self, status: int) -> None:
        """Nobody waits for it."""

    def drop(self) -> None:
        """There is no connection that could be cut."""


def start_tasks(host: SimulatedHost) -> None:
    """Start what is to run at boot."""
    for task in host.state.windows_part.scheduled.values():
        if found := _TASK.fullmatch(task):
            content = host.state.files.text(where(found["script"])) or ""
            Drive(host, play(host, content.encode()), _LogFile(host, found["log"]))
