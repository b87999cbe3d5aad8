"""Windows hosts with a WinRM server in a thread of the test, a tiny interpreter, and real pywinrm clients for them."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plugins.connections.base import Completed
from plugins.connections.winrm_login import Login
from plugins.connections.winrm_shell import WinrmShell
from plugins.inventory.winrm import WinrmSettings
from plugins.secret import Secret
from plugins.simulate.doors import BLOCKS, loopback
from plugins.simulate.effects import Complain, Cut, Pause, Say, Script
from plugins.simulate.faults import FaultBook, parse_fault
from plugins.simulate.host import Door, SimulatedHost, Timing
from plugins.simulate.state import HostState
from plugins.simulate.winrm_auth import Users
from plugins.simulate.winrm_doors import PLAIN_PORT, PORT, WinrmDoors
from plugins.simulate.winrm_shells import Quotas
from plugins.simulate.world import World

USER, PASSWORD = "Administrator", "Pa55-wörd"


def interpret(host: SimulatedHost, script: bytes) -> Script:
    """Play lines: `say TEXT`, `err TEXT`, `pause SECONDS`, `cut`, `crash SECONDS`, `megabytes N`, `size`, `exit N`."""
    host.state.counters.scripts += 1
    for line in script.decode().splitlines():
        verb, _, rest = line.partition(" ")
        match verb:
            case "say":
                yield Say(f"{rest}\r\n".encode())
            case "err":
                yield Complain(f"{rest}\r\n".encode())
            case "pause":
                yield Pause(float(rest))
            case "cut":
                yield Cut()
            case "crash":
                host.crash(float(rest))
                yield Pause(60)
            case "megabytes":
                yield Say((b"x" * 1023 + b"\n") * 1024 * int(rest))
            case "size":
                yield Say(f"{len(script)}\n".encode())
            case "exit":
                return int(rest)
            case _:
                pass
    return 0


class Windows:
    """Some Windows hosts, for as long as the context lasts."""

    def __init__(
        self, folder: Path, count: int = 1, *, quotas: Quotas | None = None, basic: bool = False, plain: bool = False
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        states = [HostState(f"windows-{n}", "windows", f"10.142.{n >> 8}.{n & 255}") for n in range(1, count + 1)]
        self.faults = FaultBook()
        self.world = World(states, self._loop, faults=self.faults, timing=Timing(reboot=0.5))
        self.doors = WinrmDoors(Users(USER, PASSWORD, basic), folder, interpret, quotas)
        self.folder, self._plain = folder, plain
        self._servers: dict[str, asyncio.Server] = {}
        block = random.choice(BLOCKS)  # noqa: S311  # an address, not a secret
        self.addresses = {state.name: loopback(block, state.address) for state in states}
        self.ask(self._open())
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.doors.certificates.authority_pem.encode())

    def ask(self, coroutine: Any) -> Any:
        """Do something in the thread of the hosts."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _open(self) -> None:
        self.doors.certify(list(self.addresses.values()))
        for host in self.world.hosts.values():
            host.on_door = lambda host=host: self._loop.create_task(self._follow(host))
            await self._follow(host)

    async def _follow(self, host: SimulatedHost) -> None:
        if server := self._servers.pop(host.name, None):
            server.close()
        if host.door is not Door.CLOSED:
            port = PLAIN_PORT if self._plain else PORT
            self._servers[host.name] = await self.doors.listen(host, host.door, self.addresses[host.name], port)

    def fault(self, text: str) -> None:
        """Give the hosts a fault."""

        async def add() -> None:
            self.faults.add(parse_fault(text))
            for host in self.world.hosts.values():
                await self._follow(host)

        self.ask(add())

    def mend(self) -> None:
        """Take all faults away."""

        async def clear() -> None:
            self.faults.clear()
            for host in self.world.hosts.values():
                await self._follow(host)

        self.ask(clear())

    def login(self, name: str = "windows-1", *, password: str = PASSWORD, **winrm: Any) -> Login:
        """Give a login with these keys of data.winrm."""
        settings = WinrmSettings.model_validate({"ca_file": self.ca, **winrm})
        port = PLAIN_PORT if self._plain else PORT
        return Login(name, self.addresses[name], port, USER, settings, Secret(password))

    def shell(self, name: str = "windows-1", **winrm: Any) -> WinrmShell:
        """Open a shell on a host."""
        return WinrmShell(self.login(name, **winrm))

    def shells(self, name: str = "windows-1") -> int:
        """Count the shells that a host has."""

        async def count() -> int:
            return len(self.doors._shells[name]._shells)

        return self.ask(count())

    def scripts(self, name: str = "windows-1") -> int:
        """Count the scripts that were run on a host."""
        return self.world.hosts[name].state.counters.scripts

    def stop(self) -> None:
        """Close everything."""

        async def close() -> None:
            for server in self._servers.values():
                server.close()
            for host in self.world.hosts.values():
                host.drop_connections()
                for script in list(host.scripts):
                    script.kill()
            await asyncio.sleep(0.05)

        self.ask(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def run(shell: WinrmShell, *lines: str, deadline: float = 20) -> tuple[Completed, list[str]]:
    """Run a script of these lines; give how it ended and what it said."""
    said: list[bytes] = []
    done = shell.run("\n".join(lines).encode(), deadline=deadline, on_line=said.append)
    return done, [line.decode().removesuffix("\r") for line in said]


Make = Callable[..., Windows]
