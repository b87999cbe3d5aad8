"""Opens, closes and changes what a client meets at each host's address, as the host says."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncssh

from plugins.simulate.host import Door, SimulatedHost
from plugins.simulate.server import Connection, Logins, Silent
from plugins.simulate.world import World

if TYPE_CHECKING:
    from plugins.simulate.winrm_doors import WinrmDoors

PORT = 2222
WINRM_PORT = 5986
BLOCKS = range(16, 251)  # second number of the loopback addresses that one set of hosts has
_TRIES = 20
_SETTLED = 5.0  # seconds
_PATIENCE = 0.1  # seconds between tries to have a port again
Listener = asyncio.AbstractServer | asyncssh.SSHAcceptor


@dataclass(frozen=True)
class HostKeys:
    """The key that known_hosts has, and one that it does not have; shared by all hosts."""

    known: asyncssh.SSHKey
    other: asyncssh.SSHKey


def loopback(block: int, address: str) -> str:
    """Give a host its loopback address: 127, `block`, and the last two numbers of its underlay address."""
    low = int(ipaddress.IPv4Address(address)) & 0xFFFF
    return str(ipaddress.IPv4Address((127 << 24) + (block << 16) + low))


class Doors:
    """The listening sockets of all hosts of one world; `windows` opens those of its Windows hosts."""

    def __init__(self, world: World, keys: HostKeys, logins: Logins, windows: WinrmDoors | None = None) -> None:
        self._world, self._logins, self._windows = world, logins, windows
        self._doors: dict[str, _DoorOf] = {}
        # One set of options for all: making one costs more than opening a port.
        self._options = {
            Door.OPEN: self._ssh_options(keys.known),
            Door.OTHER_KEY: self._ssh_options(keys.other),
        }

    def _ssh_options(self, key: asyncssh.SSHKey) -> asyncssh.SSHServerConnectionOptions:
        return asyncssh.SSHServerConnectionOptions(
            server_host_keys=[key],
            encoding=None,
            line_editor=False,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            compression_algs=[],
            login_timeout=60,
            keepalive_interval=0,
        )

    async def open(self) -> dict[str, tuple[str, int]]:
        """Open every host's port on a free block of loopback addresses; give address and port by host name."""
        for block in random.sample(BLOCKS, _TRIES):
            hosts = self._world.hosts.items()
            self._doors = {name: _DoorOf(host, loopback(block, host.state.address), self) for name, host in hosts}
            if self._windows is not None:
                self._windows.certify([door.address for door in self._doors.values() if door.windows])
            try:
                for door in self._doors.values():
                    await door.apply()
            except OSError:
                self.close()
                continue
            for name, door in self._doors.items():
                self._world.hosts[name].on_door = door.changed
            return {name: (door.address, door.port) for name, door in self._doors.items()}
        ports = f"{PORT} and {WINRM_PORT}" if self._windows else PORT
        raise OSError(f"no free block of loopback addresses with port {ports} was found in {_TRIES} tries")

    async def listen(self, host: SimulatedHost, door: Door, address: str, port: int) -> Listener | None:
        """Open one port as the host wants it."""
        if door is Door.CLOSED:
            return None
        if door is Door.SILENT:
            return await asyncio.get_running_loop().create_server(lambda: Silent(host), address, port)
        if host.state.windows is not None:
            assert self._windows is not None
            return await self._windows.listen(host, door, address, port)
        return await asyncssh.listen(
            address,
            port,
            options=self._options[door],
            server_factory=lambda: Connection(host, self._logins),
            backlog=16,
        )

    async def settled(self) -> None:
        """Wait until every port is as its host wants it, for a moment where one cannot be had."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLED):
                # A host may have come up in the meantime: whoever reads its state then must be able to reach it.
                while tasks := [door.task for door in self._doors.values() if door.task and not door.task.done()]:
                    await asyncio.wait(tasks)

    def close(self) -> None:
        """Close all ports and connections."""
        for door in self._doors.values():
            door.close()
        for host in self._world.hosts.values():
            host.drop_connections()


class _DoorOf:
    """One host's port."""

    def __init__(self, host: SimulatedHost, address: str, doors: Doors) -> None:
        self.address = address
        self._host, self._doors = host, doors
        self._now = Door.CLOSED
        self._listener: Listener | None = None
        self.windows = host.state.windows is not None
        self.port = WINRM_PORT if self.windows else PORT
        self.task: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Follow the host: a port closes at once, and opens as soon as it can be had."""
        if self._host.door is not self._now:
            self.close()
            self.task = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            try:
                await self.apply()
            except OSError:
                await asyncio.sleep(_PATIENCE)
            else:
                return

    async def apply(self) -> None:
        """Open the port as the host wants it now."""
        wanted = self._host.door
        self._listener = await self._doors.listen(self._host, wanted, self.address, self.port)
        self._now = wanted

    def close(self) -> None:
        """Close the port."""
        if self.task is not None:
            self.task.cancel()
        if self._listener is not None:
            self._listener.close()
        self._listener, self._now = None, Door.CLOSED
