"""The real data plane of a lab's Windows host: an agent for each service that runs, and the tunnels of the kernel."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from plugins.errors import RunbookError
from plugins.lab.windows import link
from plugins.lab.windows.agent import Agent
from plugins.lab.windows.given import GivenError
from plugins.lab.windows.kubelet import Kubelet
from plugins.lab.windows.overlay import Overlay
from plugins.lab.windows.proxy import Proxy
from plugins.simulate.files import Entry, Kind
from plugins.simulate.host import SimulatedHost
from plugins.simulate.vocabulary import ActFailedError
from plugins.simulate.windows.state import Service, where
from plugins.windows import HYBRID_OVERLAY, KUBE_PROXY, KUBELET, OVERLAY

AGENTS: Mapping[str, Callable[[SimulatedHost], Agent]] = {KUBELET: Kubelet, HYBRID_OVERLAY: Overlay, KUBE_PROXY: Proxy}
LOOK_SECONDS = 0.1
_LOG = re.compile(r"--?log-?file=(\S+)")


class RealPlane:
    """Services of one host; `folder` is for what their agents keep on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._pings = folder, ThreadPoolExecutor(max_workers=1, thread_name_prefix="pings")
        self._told: dict[str, str] = {}
        self._agents: dict[str, tuple[tuple[str, int], Agent, asyncio.Task[None]]] = {}

    async def follow(self, host: SimulatedHost) -> None:
        """Have an agent for each service that runs, started when the service is; until cancelled."""
        try:
            while True:
                for name in AGENTS:
                    service = host.state.windows_part.services.get(name)
                    self._follow(host, name, service if service and service.state == "Running" else None)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for name in list(self._agents):
                self._end(name)

    def _follow(self, host: SimulatedHost, name: str, service: Service | None) -> None:
        started = (service.command, service.since) if service else None
        if name in self._agents and self._agents[name][0] != started:
            self._end(name)
        if service is None or started is None:
            return
        if name in self._agents:
            if (task := self._agents[name][2]).done():
                _fail(host, service, f"{task.exception()!r}")
            elif (why := self._agents[name][1].why) != self._told.get(name):
                # On the host's console: a look at how things are must not change a file of the host.
                print(f"{name}: {why or 'well'}", flush=True)
                self._told[name] = why
            return
        try:
            agent = AGENTS[name](host)
        except GivenError as error:
            _fail(host, service, str(error))
            return
        self._agents[name] = started, agent, asyncio.get_running_loop().create_task(agent.work(self._folder / name))

    def _end(self, name: str) -> None:
        task = self._agents.pop(name)[2]
        task.cancel()
        if task.done() and not task.cancelled():
            task.exception()

    def _why(self, name: str) -> str:
        return self._agents[name][1].why if name in self._agents else f"{name} does not run"

    def refusal(self, host: SimulatedHost, service: str) -> str:
        """Have the service read all that it is given."""
        try:
            if service in AGENTS:
                AGENTS[service](host)
        except GivenError as error:
            return str(error)
        return ""

    def make_network(self, host: SimulatedHost) -> str:
        """The network is there, or its service is at work on it; once made it stays without the service."""
        return "" if OVERLAY in host.state.windows_part.networks else self._why(HYBRID_OVERLAY)

    def why_no_api(self, host: SimulatedHost, config: str) -> str:  # noqa: ARG002 -- the service has read it
        """Say what kube-proxy has met."""
        return self._why(KUBE_PROXY)

    def has_address(self, host: SimulatedHost, address: str) -> bool:  # noqa: ARG002 -- there is one in a namespace
        """Look at the tunnels' device."""
        return link.has_address(address)

    def add_address(self, host: SimulatedHost, address: str) -> None:  # noqa: ARG002
        """Put it on the tunnels' device."""
        try:
            link.add_address(address)
        except RunbookError as error:
            raise ActFailedError(str(error)) from None

    def ping(self, host: SimulatedHost, source: str, count: int, targets: Sequence[str]) -> Future[Mapping[str, int]]:  # noqa: ARG002
        """Send real packets, without holding up the host."""
        return self._pings.submit(link.ping, source, count, targets)


def _fail(host: SimulatedHost, service: Service, why: str) -> None:
    """Have a service end by itself, with its last words in its log."""
    service.state = "Stopped"
    if log := _LOG.search(service.command):
        host.state.files.place(where(log[1]), Entry(Kind.FILE, "inherited", "", f"{why}\n"))
