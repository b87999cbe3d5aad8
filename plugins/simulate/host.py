"""One simulated host while it runs: its state, its lock, who is connected, and what faults it has."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from plugins.simulate.faults import Fault
from plugins.simulate.state import HostState

if TYPE_CHECKING:
    from plugins.simulate.world import World


class Door(StrEnum):
    """What a client meets at the host's port; of the certificates only those with WinRM have some."""

    OPEN = "open"
    OTHER_KEY = "other key"
    SELF_SIGNED = "self-signed"
    EXPIRED = "expired"
    OTHER_NAME = "other-name"
    SILENT = "silent"
    CLOSED = "closed"


class Connected(Protocol):
    """A connection to the host, as the host sees it."""

    def drop(self) -> None:
        """Cut it without a word."""


class Running(Protocol):
    """A script that runs on the host."""

    def kill(self) -> None:
        """End it at once, as a reboot does."""


@dataclass(frozen=True)
class Timing:
    """How long things take on a simulated host, in seconds."""

    until_reboot: float = 0.2
    reboot: float = 1.0
    network_change: float = 0.5
    take_back: float = 20.0
    patience: float = 4.0
    """At most so long a step waits for what others have to do, however long it may."""


@dataclass
class Listening:
    """Ports that answer a token until a moment, or until all `expected` probes (NAME:PROTO:PORT) were `seen`."""

    until: float
    ports: set[tuple[str, int]]
    expected: frozenset[str] | None = None
    seen: set[str] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """Whether nothing listens any more."""
        return monotonic() >= self.until or (self.expected is not None and self.expected <= self.seen)


class SimulatedHost:
    """One host of a World."""

    def __init__(self, state: HostState, world: World, sudo_password: str | None) -> None:
        self.state, self.world, self.sudo_password = state, world, sudo_password
        self.connections: set[Connected] = set()
        self.scripts: set[Running] = set()
        self.on_door: Callable[[], None] = lambda: None
        self.switch_on: Callable[[], None] = self.boot
        """What follows when a host that went down may come up again."""
        self.listeners: dict[str, Listening] = {}
        self.up, self.silent_until = True, 0.0
        self._holder: object | None = None
        self._owner = ""
        self.cluster_owner, self.cluster_beat = "", 0.0

    @property
    def name(self) -> str:
        """The host's name."""
        return self.state.name

    @property
    def door(self) -> Door:
        """What a client meets now."""
        closed = self._lasting("closed")
        if not self.up or closed is not None:
            return Door.CLOSED
        if self._lasting("silent"):
            return Door.SILENT
        if self.state.windows is not None and (certificate := self._lasting("certificate")):
            return Door(certificate.text("is", Door.SELF_SIGNED))
        return Door.OTHER_KEY if self._lasting("changed-host-key") else Door.OPEN

    @property
    def latency(self) -> float:
        """Seconds that each reply takes."""
        slow = self._lasting("slow")
        return slow.seconds(0.2) if slow else 0.0

    def strike(self, kinds: tuple[str, ...], *names: str) -> Fault | None:
        """Give the fault that strikes here and now, if one does."""
        return self.world.faults.strike(self.name, kinds, names)

    def _lasting(self, kind: str) -> Fault | None:
        """Give a fault that is there for as long as it lasts, whoever meets it how often."""
        found = self.world.faults.of(self.name, (kind,))
        if kind in {"closed", "locked", "cluster-locked"}:
            found = (each for each in found if not each.over)
        return next(found, None)

    @property
    def clock_skew(self) -> float:
        """Seconds by which the host's clock is ahead."""
        skew = self._lasting("clock-skew")
        return skew.seconds(60.0) if skew else 0.0

    def blocked(self, proto: str, port: int) -> bool:
        """Whether a firewall drops what comes to this port."""
        walls = self.world.faults.of(self.name, ("firewall",))
        return any(wall.text("port", f"{proto}/{port}") in {str(port), f"{proto}/{port}"} for wall in walls)

    def ailing(self, service: str) -> str:
        """Give the last lines of a service that a fault keeps from being well; empty where none does."""
        for fault in self.world.faults.of(self.name, ("unhealthy",)):
            if fault.text("service", service) == service:
                return fault.text("output", f"{service}: a fault that was asked for")
        return ""

    def well(self, service: str) -> bool:
        """Whether a service runs, and does what it is there for."""
        return self.up and self.state.running(service) and not self.ailing(service)

    def seen(self, name: str, value: str) -> str:
        """Give what a look sees: `value`, or what a fault shows instead."""
        for fault in self.world.faults.of(self.name, ("fact",)):
            value = fault.text(name, value)
        return value

    # The lock that every script on a host holds.

    @property
    def lock_owner(self) -> str:
        """Say who holds the host's lock."""
        locked = self._lasting("locked")
        return locked.text("owner", "another script") if locked else self._owner

    def lock(self, holder: object, owner: str) -> bool:
        """Take the host's lock, or say that it is held."""
        if self._lasting("locked") or self._holder not in {None, holder}:
            return False
        self._holder, self._owner = holder, owner
        return True

    def unlock(self, holder: object) -> None:
        """Let go of the lock, if `holder` has it."""
        if self._holder is holder:
            self._holder = None

    def cluster_holder(self) -> str:
        """Say who holds the cluster's lock, which is kept on the master; nobody is an empty text."""
        locked = self._lasting("cluster-locked")
        return locked.text("owner", "somebody@elsewhere") if locked else self.cluster_owner

    # Going down and coming up.

    def drop_connections(self) -> None:
        """Cut all connections; scripts go on."""
        for connection in list(self.connections):
            connection.drop()
        self.connections.clear()

    def stall(self, seconds: float) -> None:
        """Answer nothing for some seconds; connections live through it, as TCP lives through a short silence."""
        self.silent_until = monotonic() + seconds

    def leave(self, seconds: float) -> None:
        """Be away from the network for some seconds: connections are lost, scripts go on."""
        self._down()
        self._later(seconds, self._back)

    def reboot(self) -> None:
        """Reboot as asked for, if no fault stands in the way."""
        fault = self.strike(("no-return", "no-reboot", "slow-reboot"))
        kind = fault.kind if fault else ""
        if kind == "no-reboot":
            self.drop_connections()
            return
        seconds = fault.seconds(10.0) if fault and kind == "slow-reboot" else self.world.timing.reboot
        self.crash(math.inf if kind == "no-return" else seconds)

    def crash(self, seconds: float) -> None:
        """Go down at once with all that runs, and boot `seconds` later."""
        self.state.counters.reboots += 1
        self._down()
        for script in list(self.scripts):
            script.kill()
        self.scripts.clear()
        self._holder = None
        self.listeners.clear()
        self._later(seconds, self.switch_on)

    def power_on(self) -> None:
        """Boot a host that is down; one that is up stays as it is."""
        if not self.up:
            self.boot()

    def boot(self) -> None:
        """Come up: what starts by itself runs, and what does not last is gone."""
        self.state.boot()
        self._back()
        if self.state.windows is not None:
            from plugins.simulate.windows.boot import start_tasks  # noqa: PLC0415  # scripts are played on hosts

            start_tasks(self)

    def _down(self) -> None:
        self.up = False
        self.on_door()
        self.drop_connections()

    def _back(self) -> None:
        self.up = True
        self.on_door()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        if seconds != math.inf:
            self.world.call_later(seconds, action)
