"""All simulated hosts of one cluster: who has which address, and who looks into whose databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from plugins.simulate.faults import FaultBook
from plugins.simulate.host import SimulatedHost, Timing
from plugins.simulate.state import HostState


class Timers(Protocol):
    """Does things later."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> object:
        """Call `action` after `seconds`."""


class World:
    """The hosts by name; one fault book for all."""

    def __init__(
        self,
        states: Iterable[HostState],
        timers: Timers,
        *,
        faults: FaultBook | None = None,
        timing: Timing | None = None,
        sudo_password: str | None = None,
    ) -> None:
        self.faults = faults or FaultBook()
        self.timing = timing or Timing()
        self._timers = timers
        self.hosts = {state.name: SimulatedHost(state, self, sudo_password) for state in states}
        self._by_address = {host.state.address: host for host in self.hosts.values()}

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in a while."""
        self._timers.call_later(seconds, action)

    def at(self, address: str) -> SimulatedHost | None:
        """Find the host that owns an underlay address."""
        return self._by_address.get(address)
