"""Carries out what a simulated script does, in an event loop: output, waiting, input, its time limit."""

from __future__ import annotations

import asyncio
import contextlib
import math
from time import monotonic
from typing import Protocol

from plugins.simulate.effects import Apart, Complain, Cut, Hear, HearAll, HearBytes, Limit, Pause, Say, Script
from plugins.simulate.host import SimulatedHost

TIMED_OUT = 124  # as of timeout(1)
MISTAKE = 70  # as EX_SOFTWARE of sysexits.h


class Wire(Protocol):
    """Where a script's output goes; after the connection is gone it goes nowhere."""

    def say(self, data: bytes) -> None:
        """Take standard output."""

    def complain(self, data: bytes) -> None:
        """Take standard error."""

    def finish(self, status: int) -> None:
        """Take the exit status."""

    def drop(self) -> None:
        """Cut the connection."""


class Input:
    """A script's standard input as it comes in."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ended = False
        self._more = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        self._data += data
        self._more.set()

    def end(self) -> None:
        """Take the end."""
        self._ended = True
        self._more.set()

    async def line(self) -> bytes:
        """Give the next line, its newline included; empty at the end."""
        searched = 0
        while (found := self._data.find(b"\n", searched)) < 0 and not self._ended:
            searched = len(self._data)
            await self._wait()
        return self._take(found + 1 if found >= 0 else len(self._data))

    async def rest(self) -> bytes:
        """Give everything up to the end."""
        while not self._ended:
            await self._wait()
        return self._take(len(self._data))

    async def some(self, size: int) -> bytes:
        """Give so many bytes, or what there is when the input ends."""
        while len(self._data) < size and not self._ended:
            await self._wait()
        return self._take(min(size, len(self._data)))

    async def _wait(self) -> None:
        self._more.clear()
        await self._more.wait()

    def _take(self, size: int) -> bytes:
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken


async def heard(host: SimulatedHost) -> None:
    """Wait until what the host says gets through."""
    if (left := host.silent_until - monotonic()) > 0:
        await asyncio.sleep(left)


class Drive:
    """One script on one host: it goes on when its connection is lost, and ends when the host goes down."""

    def __init__(self, host: SimulatedHost, script: Script, wire: Wire) -> None:
        self.input = Input()
        self._host, self._script, self._wire = host, script, wire
        self._said, self._limit = bytearray(), asyncio.timeout(None)
        host.scripts.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def kill(self) -> None:
        """End the script at once."""
        self._task.cancel()

    async def _run(self) -> None:
        status = TIMED_OUT
        try:
            with contextlib.suppress(TimeoutError):
                async with self._limit:
                    status = await self._play()
        except Exception as error:  # noqa: BLE001  # a mistake in a verb: whoever waits for the script must hear of it
            status = MISTAKE
            self._wire.complain(f"simulated host: a mistake: {error!r}\n".encode())
        finally:
            self._script.close()
            self._host.scripts.discard(self)
        await self._flush()
        self._wire.finish(status)

    async def _play(self) -> int:
        answer: bytes | None = None
        while True:
            try:
                effect = self._script.send(answer)
            except StopIteration as end:
                return int(end.value)
            answer = None
            if isinstance(effect, Say):
                self._said += effect.data  # many small pieces go out as one
                continue
            await self._flush()
            match effect:
                case Complain(data):
                    self._wire.complain(data)
                case Pause(seconds):
                    await (asyncio.Event().wait() if seconds == math.inf else asyncio.sleep(seconds))
                case Hear() | HearAll() | HearBytes():
                    answer = await self._hear(effect)
                case Limit(seconds):
                    self._limit.reschedule(asyncio.get_running_loop().time() + seconds)
                case Cut():
                    self._wire.drop()
                case Apart(work):
                    answer = await asyncio.to_thread(work)

    async def _hear(self, effect: Hear | HearAll | HearBytes) -> bytes | None:
        match effect:
            case HearAll():
                return await self.input.rest()
            case HearBytes(size):
                return await self.input.some(size)
            case Hear(seconds):
                try:
                    return await asyncio.wait_for(self.input.line(), seconds)
                except TimeoutError:
                    return None

    async def _flush(self) -> None:
        await heard(self._host)
        if self._said:
            self._wire.say(bytes(self._said))
            self._said.clear()
