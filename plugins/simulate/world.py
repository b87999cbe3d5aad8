"""All simulated hosts of one cluster: who has which address, and who looks into whose databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from plugins.simulate.faults import FaultBook
from plugins.simulate.host import SimulatedHost, Timing
from plugins.simulate.state import HostState
from plugins.simulate.windows.plane import Plane, SimulatedPlane


class Timers(Protocol):
    """Does things later."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> object:
        """Call `action` after `seconds`."""


class World:
    """The hosts by name; one fault book for all. `plane` is what services of Windows hosts meet outside of them."""

    def __init__(
        self,
        states: Iterable[HostState],
        timers: Timers,
        *,
        faults: FaultBook | None = None,
        timing: Timing | None = None,
        sudo_password: str | None = None,
        plane: Plane | None = None,
    ) -> None:
        self.faults = faults or FaultBook()
        self.timing = timing or Timing()
        self.plane = plane or SimulatedPlane()
        self._timers, self._sudo_password = timers, sudo_password
        self.hosts: dict[str, SimulatedHost] = {}
        self._by_address: dict[str, SimulatedHost] = {}
        for state in states:
            self.ensure(state)

    def ensure(self, state: HostState) -> SimulatedHost:
        """Give the host of that name; where there is none, it begins with `state`."""
        if state.name not in self.hosts:
            host = SimulatedHost(state, self, self._sudo_password)
            self.hosts[state.name] = self._by_address[state.address] = host
        return self.hosts[state.name]

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in a while."""
        self._timers.call_later(seconds, action)

    def at(self, address: str) -> SimulatedHost | None:
        """Find the host that owns an underlay address."""
        return self._by_address.get(address)
