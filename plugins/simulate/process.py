"""The process of the simulated hosts: `python -m plugins.simulate.process`, started by plugins.simulate.cluster.

It reads one JSON object with its settings, then one JSON request a line, on standard input, and answers each
with one line. It ends when its input ends, that is also when whoever started it is gone, however it went.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh

from plugins.errors import UsageError
from plugins.simulate.doors import Doors, HostKeys
from plugins.simulate.faults import Fault, parse_fault
from plugins.simulate.host import Timing
from plugins.simulate.server import Logins
from plugins.simulate.session import play
from plugins.simulate.state import HostState
from plugins.simulate.world import World

if TYPE_CHECKING:
    from plugins.simulate.winrm_doors import WinrmDoors

INPUT_LIMIT = 64 * 1024 * 1024  # bytes of one request


class Service:
    """Answers requests about the hosts."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.world = World(
            [HostState(**host) for host in settings["hosts"]],
            asyncio.get_running_loop(),
            timing=Timing(**settings["timing"]),
            sudo_password=settings["sudo_password"],
        )
        keys = HostKeys(*(asyncssh.import_private_key(settings[name]) for name in ("host_key", "other_key")))
        logins = Logins(tuple(settings["users"]), settings["login_key"], settings["login_password"])
        self.windows = self._windows(Path(settings["folder"]), settings["windows"])
        self.doors = Doors(self.world, keys, logins, self.windows)
        for text in settings["faults"]:
            self.add(parse_fault(text))

    def _windows(self, folder: Path, logins: dict[str, str]) -> WinrmDoors | None:
        """Give what opens the ports of Windows hosts, where there are any."""
        if all(host.state.windows is None for host in self.world.hosts.values()):
            return None
        from plugins.simulate.winrm_auth import Users  # noqa: PLC0415  # NTLM and HTTP are slow to import
        from plugins.simulate.winrm_doors import WinrmDoors  # noqa: PLC0415

        return WinrmDoors(Users(logins["user"], logins["password"]), folder, play)

    @property
    def windows_authority(self) -> str:
        """The CA certificate (PEM) of the Windows hosts, once their ports are open; empty without such hosts."""
        return self.windows.certificates.authority_pem if self.windows else ""

    def add(self, fault: Fault) -> None:
        """Give the hosts a fault; one that ends by itself may open a port then."""
        self.world.faults.add(fault)
        seconds = fault.seconds(math.inf)
        if fault.kind == "closed" and seconds != math.inf:
            self.world.call_later(seconds, self.look_at_doors)

    def look_at_doors(self) -> None:
        """Let every host see anew what a client should meet."""
        for host in self.world.hosts.values():
            host.on_door()

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request, when all ports are as they should be; an unknown one is a KeyError."""
        await self.doors.settled()
        match request["do"]:
            case "state":
                return {"state": self.world.hosts[request["host"]].state.as_json()}
            case "add fault":
                self.add(parse_fault(request["fault"]))
            case "clear faults":
                self.world.faults.clear()
            case "power on":
                self.world.hosts[request["host"]].power_on()
            case "requests":
                return {"requests": self.windows.requests.get(request["host"], []) if self.windows else []}
            case "busy":
                return {"scripts": sum(len(host.scripts) for host in self.world.hosts.values())}
            case other:
                raise KeyError(other)
        self.look_at_doors()
        await self.doors.settled()
        return {}

    def stop(self) -> None:
        """Close all ports, and end all scripts."""
        self.doors.close()
        for host in self.world.hosts.values():
            for script in list(host.scripts):
                script.kill()


async def serve() -> None:
    """Serve until the input ends."""
    lines = asyncio.StreamReader(limit=INPUT_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    settings = json.loads(await lines.readline())
    folder = settings["remove"]
    try:
        service = Service(settings)
        try:
            listening = await service.doors.open()
            _say({"listening": listening, "windows_authority": service.windows_authority})
            gc.collect()
            gc.freeze()
            while request := await lines.readline():
                _say(await _answered(service, request))
        finally:
            service.stop()
            await asyncio.sleep(0)
    finally:
        if folder:
            shutil.rmtree(Path(folder), ignore_errors=True)


async def _answered(service: Service, request: bytes) -> dict[str, Any]:
    try:
        return await service.answer(json.loads(request))
    except (UsageError, KeyError, ProcessLookupError) as error:
        return {"error": str(error)}


def _say(answer: dict[str, Any]) -> None:
    try:
        print(json.dumps(answer), flush=True)
    except BrokenPipeError:
        sys.exit(1)


def main() -> None:
    """Run the process; what the keyboard sends is for whoever started it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(serve())
    except OSError as error:
        _say({"error": str(error)})
        sys.exit(1)


if __name__ == "__main__":
    main()
