"""A line to local hosts that is as slow as a distant one's, and counts how often it turns.

A proxy of our own, in a process of its own: not every kernel has tc's netem. What netem would delay in the kernel is
delayed here: each packet by half a round trip, and what TCP's own handshake takes before anything can be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.local_hosts import LocalHost, write_inventory
from benchmarks.project_copy import ROOT

_PIECE = 65536  # bytes


class SlowLine:
    """Ports that lead to hosts; `turns` and `connections` count since they were last asked for."""

    def __init__(self, delay: float) -> None:
        self._delay = delay  # seconds, one way
        self.turns = self.connections = 0

    async def serve(self, address: str, port: int) -> int:
        """Open a port on the same address, and give its number."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._carry(reader, writer, address, port)

        server = await asyncio.start_server(connected, address, 0)
        return int(server.sockets[0].getsockname()[1])

    async def _carry(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter, address: str, port: int) -> None:
        self.connections += 1
        await asyncio.sleep(2 * self._delay)  # SYN and its answer
        host, ask = await asyncio.open_connection(address, port)
        last = ["host"]
        with contextlib.suppress(OSError):
            await asyncio.gather(
                self._pump(client, ask, "client", last), self._pump(host, answer, "host", last), return_exceptions=True
            )
        for writer in (ask, answer):
            writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, who: str, last: list[str]) -> None:
        """Carry all pieces, each late by the same time; what is on the way does not hold up what comes after it."""
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        clock = asyncio.get_running_loop().time

        async def arrive() -> None:
            while True:
                due, piece = await way.get()
                await asyncio.sleep(max(0.0, due - clock()))
                if not piece:
                    break
                sink.write(piece)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()

        arriving = asyncio.create_task(arrive())
        piece = b"?"
        while piece:
            try:
                piece = await source.read(_PIECE)
            except OSError:
                piece = b""
            # The client begins a turn when it speaks after the host did.
            self.turns += bool(piece) and who == "client" and last[0] == "host"
            last[0] = who if piece else last[0]
            way.put_nowait((clock() + self._delay, piece))
        await arriving


async def _serve() -> None:
    settings = json.loads(sys.stdin.readline())
    line = SlowLine(settings["delay"])
    print(json.dumps([await line.serve(address, port) for address, port in settings["hosts"]]), flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps([line.connections, line.turns]), flush=True)
        line.connections = line.turns = 0


class Counter:
    """Asks the proxy what it counted."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, request: object) -> list[int]:
        """Send one line, and read one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))

    def counted(self) -> tuple[int, int]:
        """Give the connections and turns since the last time."""
        connections, turns = self.ask("counted")
        return connections, turns


@contextlib.contextmanager
def slow_line(hosts: Sequence[LocalHost], delay: float, folder: Path) -> Iterator[tuple[list[LocalHost], Counter]]:
    """Lend the hosts behind a line whose round trip takes `delay` seconds; keys and inventory are in `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.slow_line"],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        counter = Counter(process)
        ports = counter.ask({"delay": delay / 2, "hosts": [[host.address, host.port] for host in hosts]})
        folder.mkdir()
        for name in ("client", "client.pub", *(f"{host.name}.pub" for host in hosts)):
            (folder / name).symlink_to(hosts[0].folder / name)
        slow = [replace(host, port=port, folder=folder) for host, port in zip(hosts, ports, strict=True)]
        write_inventory(folder, slow)
        yield slow, counter
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    asyncio.run(_serve())
