"""A connection without any network: the host is simulated in this process (`transport: memory`).

For tests: `with memory.simulated_hosts(faults=[...]) as hosts:` gives fresh hosts to whatever connects meanwhile.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from nornir.core.configuration import Config

from plugins.connections.base import Completed
from plugins.connections.lines import LineSplitter
from plugins.errors import UnreachableError
from plugins.simulate.drive import Drive
from plugins.simulate.host import Door, SimulatedHost, Timing
from plugins.simulate.in_memory import MemoryHosts

_lock = threading.Lock()
_current: list[MemoryHosts] = []


@contextmanager
def simulated_hosts(faults: Iterable[str] = (), timing: Timing | None = None) -> Iterator[MemoryHosts]:
    """Give fresh hosts to all connections that are opened in this context, in whatever thread."""
    with MemoryHosts(faults, timing) as hosts:
        _current.append(hosts)
        try:
            yield hosts
        finally:
            _current.remove(hosts)


def _hosts() -> MemoryHosts:
    with _lock:
        if not _current:
            hosts = MemoryHosts()
            hosts.start()
            _current.append(hosts)
        return _current[-1]


class Memory:
    """Nornir connection plugin; its connection is a MemoryShell."""

    connection: MemoryShell

    def open(
        self,
        hostname: str | None,  # noqa: ARG002  # the settings say all
        username: str | None,  # noqa: ARG002
        password: str | None,  # noqa: ARG002
        port: int | None,  # noqa: ARG002
        platform: str | None,  # noqa: ARG002
        extras: dict[str, Any] | None = None,
        configuration: Config | None = None,  # noqa: ARG002
    ) -> None:
        """Connect. `extras` holds `settings` (HostSettings). Raises UnreachableError."""
        settings, hosts = (extras or {})["settings"], _hosts()
        host = hosts.host(settings.name, settings.role.value, str(settings.address))
        self.connection = MemoryShell(hosts, host)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class _Wire:
    """Carries output from the thread of the hosts to the one that waits for it."""

    def __init__(self, drop: Callable[[], None]) -> None:
        self.events: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._drop = drop

    def say(self, data: bytes) -> None:
        self.events.put(("out", data))

    def complain(self, data: bytes) -> None:
        self.events.put(("err", data))

    def finish(self, status: int) -> None:
        self.events.put(("exit", bytes([status])))

    def lose(self, why: str) -> None:
        self.events.put(("lost", why.encode()))

    def drop(self) -> None:
        self._drop()

    def read(self, on_line: Callable[[bytes], None]) -> Completed:
        """Hand on what comes until the script has ended."""
        lines, errors = LineSplitter(on_line), bytearray()
        while True:
            kind, said = self.events.get()
            match kind:
                case "out":
                    lines.feed(said)
                case "err":
                    errors += said
                case "exit":
                    lines.end()
                    return Completed(said[0], bytes(errors))
                case _:
                    lines.end()
                    return Completed(None, bytes(errors), said.decode())


class MemoryShell:
    """An open connection to a simulated host in this process."""

    def __init__(self, hosts: MemoryHosts, host: SimulatedHost) -> None:
        self._hosts, self._host = hosts, host
        self._wires: list[_Wire] = []
        self._lost = ""
        if host.door is not Door.OPEN:
            raise UnreachableError(host.name, "connect", f"the simulated port is {host.door}", "is the host up?")
        if host.strike(("refuse-login",)):
            raise UnreachableError(host.name, "connect", "the simulated host refused the login", "check the key")
        host.connections.add(self)
        host.state.counters.connections += 1

    def run(self, script: bytes, *, deadline: float, on_line: Callable[[bytes], None]) -> Completed:
        """Run `script` (see Shell)."""
        return self.feed(script, (), deadline=deadline, on_line=on_line)

    def feed(
        self, script: bytes, data: Iterable[bytes], *, deadline: float, on_line: Callable[[bytes], None]
    ) -> Completed:
        """Run `script` with `data` as its input (see Shell)."""
        if self._lost:
            return Completed(None, lost=self._lost, unsent=True)
        wire = self._wire()
        drive = self._hosts.play(self._host, script, deadline, wire)
        for piece in data:
            self._hosts.soon(partial(drive.input.feed, piece))
        self._hosts.soon(drive.input.end)
        return wire.read(on_line)

    def hold(self, script: bytes, *, on_line: Callable[[bytes], None]) -> MemoryHolder:
        """Start a script that lives from beat to beat (see Shell)."""
        if self._lost:
            raise UnreachableError(self._host.name, "connect", self._lost, "run again")
        wire = self._wire()
        return MemoryHolder(self._hosts, self._hosts.play(self._host, script, None, wire), wire, on_line)

    def _wire(self) -> _Wire:
        wire = _Wire(self.drop)
        self._wires.append(wire)
        return wire

    def drop(self) -> None:
        """Lose the connection, as the host cuts it."""
        self._end("the connection was lost (the host or the network dropped it)")

    def close(self) -> None:
        """Close the connection; a script that runs goes on."""
        self._end("the connection was lost (it was closed here)")

    def _end(self, why: str) -> None:
        self._lost = self._lost or why
        self._host.connections.discard(self)
        for wire in self._wires:
            wire.lose(self._lost)


class MemoryHolder:
    """A script that runs beside others for as long as it is held."""

    def __init__(self, hosts: MemoryHosts, drive: Drive, wire: _Wire, on_line: Callable[[bytes], None]) -> None:
        self._hosts, self._drive, self._wire = hosts, drive, wire
        self._done: Completed | None = None
        self._reader = threading.Thread(target=self._pump, args=(on_line,), daemon=True)
        self._reader.start()

    def _pump(self, on_line: Callable[[bytes], None]) -> None:
        self._done = self._wire.read(on_line)

    def beat(self) -> bool:
        """Send one beat."""
        self._hosts.soon(lambda: self._drive.input.feed(b"\n"))
        return self._done is None

    def ended(self) -> Completed | None:
        """Say how the script ended (see Holder)."""
        return self._done

    def close(self) -> None:
        """End the script's input and wait shortly for its end."""
        self._hosts.soon(self._drive.input.end)
        self._reader.join(timeout=2)
