"""Simulated hosts without any network: the same scripts, state and faults, in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from plugins.simulate.drive import Drive, Wire
from plugins.simulate.effects import Limit, Script
from plugins.simulate.faults import FaultBook, parse_fault
from plugins.simulate.host import SimulatedHost, Timing
from plugins.simulate.session import play
from plugins.simulate.state import HostState
from plugins.simulate.world import World

_Answer = TypeVar("_Answer")
STOP_SECONDS = 5.0


class MemoryHosts:
    """Hosts that come into being as they are first connected to, for as long as the context lasts."""

    def __init__(self, faults: Iterable[str] = (), timing: Timing | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-hosts", daemon=True)
        book = FaultBook(parse_fault(fault) for fault in faults)
        self._world = World([], self._loop, faults=book, timing=timing)

    def start(self) -> None:
        """Start the thread that the hosts live in."""
        self._thread.start()

    def stop(self) -> None:
        """End all scripts and the thread."""
        self._ask(self._end_scripts)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end_scripts(self) -> None:
        for host in self._world.hosts.values():
            host.drop_connections()
            for script in list(host.scripts):
                script.kill()

    def _ask(self, question: Callable[[], _Answer]) -> _Answer:
        """Ask something in the thread of the hosts; what it raises is raised here."""

        async def answer() -> _Answer:
            return question()

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result()

    def host(self, name: str, role: str, address: str) -> SimulatedHost:
        """Find a host; a new one is a bare machine."""
        return self._ask(lambda: self._world.ensure(HostState(name, role, address)))

    def play(self, host: SimulatedHost, script: bytes, limit: float | None, wire: Wire) -> Drive:
        """Start a script, which is ended after `limit` seconds."""
        return self._ask(lambda: Drive(host, _limited(host, script, limit), wire))

    def soon(self, action: Callable[[], None]) -> None:
        """Do something in the thread of the hosts."""
        self._loop.call_soon_threadsafe(action)

    def state(self, host: str) -> dict[str, Any]:
        """Give a host's whole state as plain values (see plugins.simulate.state)."""
        return self._ask(self._world.hosts[host].state.as_json)

    def add_fault(self, fault: str) -> None:
        """Give the hosts one more fault, from now on; raises UsageError."""
        self._ask(lambda: self._world.faults.add(parse_fault(fault)))

    def clear_faults(self) -> None:
        """Mend everything; a host that is down stays down until power_on."""
        self._ask(self._world.faults.clear)

    def power_on(self, host: str) -> None:
        """Boot a host that did not come back."""
        self._ask(self._world.hosts[host].power_on)


def _limited(host: SimulatedHost, script: bytes, limit: float | None) -> Script:
    if limit is not None:
        yield Limit(limit)
    return (yield from play(host, script))
