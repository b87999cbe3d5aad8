"""The hosts that are compared with each other, and what each looks up about all the others."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from typing import Any, TypeVar

from plugins.checks.clock import SECOND, Offset, offset
from plugins.checks.facts import HostFacts

_ADDRESS = re.compile(r" ([0-9.]+)/")  # in the fact addresses


@dataclass(frozen=True)
class Member:
    """One host of those that are compared."""

    name: str
    address: IPv4Address
    master: bool
    facts: HostFacts
    windows: bool = False

    @property
    def listens(self) -> bool:
        """Whether its preflight has listened for other hosts' probes."""
        return "listen_token" in self.facts.texts


@dataclass(frozen=True)
class Ring:
    """All hosts that are compared, in the inventory's order; those that listen for probes are in a ring.

    The last one of the ring is the first one's neighbour.
    What a host looks up here is made once for all of them: a check then costs the same, however many there are.
    """

    members: tuple[Member, ...]

    @cached_property
    def named(self) -> dict[str, Member]:
        """All that are compared, by name."""
        return {member.name: member for member in self.members}

    @cached_property
    def listening(self) -> tuple[Member, ...]:
        """The ring."""
        return tuple(member for member in self.members if member.listens)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where in the ring each host is, by name."""
        return {member.name: place for place, member in enumerate(self.listening)}

    @cached_property
    def kept(self) -> dict[Any, Any]:
        """What was made of the ring once, and is asked for again."""
        return {}

    @cached_property
    def masters(self) -> tuple[Member, ...]:
        """The hosts that serve the databases."""
        return tuple(member for member in self.members if member.master)

    def neighbours(self, name: str) -> tuple[Member, ...]:
        """Give the next host and the one before; fewer than three hosts have one or none."""
        place, count = self.places[name], len(self.listening)
        around = dict.fromkeys(((place + 1) % count, (place - 1) % count))
        return tuple(self.listening[there] for there in around if there != place)

    @cached_property
    def near_windows(self) -> Mapping[str, tuple[Member, ...]]:
        """Whom each Windows host, which is not in the ring, asks: the masters and two of the ring, by its name.

        The two are others for each, so that no host is asked by all.
        """
        there, windows = self.listening, [member for member in self.members if member.windows]
        found = {}
        for number, member in enumerate(windows):
            two = (there[(2 * number + step) % len(there)] for step in range(2)) if there else ()
            found[member.name] = tuple({each.name: each for each in (*self.masters, *two)}.values())
        return found

    @cached_property
    def windows_near(self) -> Mapping[str, list[str]]:
        """Names of the Windows hosts that ask a host, by its name."""
        return _by((asked.name, name) for name, all_asked in self.near_windows.items() for asked in all_asked)

    def by_text(self, fact: str) -> Mapping[str, list[str]]:
        """Give the hosts' names by what they say `fact` is, in lower case."""
        if fact not in self._texts:
            self._texts[fact] = _by((m.facts.texts.get(fact, "").strip().lower(), m.name) for m in self.members)
        return self._texts[fact]

    @cached_property
    def _texts(self) -> dict[str, dict[str, list[str]]]:
        return {}

    @cached_property
    def by_address(self) -> Mapping[str, list[str]]:
        """Names by the inventory's addresses."""
        return _by((str(member.address), member.name) for member in self.members)

    @cached_property
    def by_found_address(self) -> Mapping[str, list[str]]:
        """Names by the addresses that the hosts really have."""
        return _by(
            (ip, m.name) for m in self.members for ip in set(_ADDRESS.findall(m.facts.texts.get("addresses", "")))
        )

    @cached_property
    def mtus(self) -> Counter[int]:
        """How many hosts have which MTU."""
        told = (_told(member, lambda facts: facts.number("tunnel_mtu")) for member in self.members)
        return Counter(mtu for mtu in told if mtu is not None)

    @cached_property
    def clocks(self) -> dict[str, Offset]:
        """The clocks' offsets by name, as far as they can be read."""
        told = {member.name: _told(member, offset) for member in self.members}
        return {name: found for name, found in told.items() if found is not None}

    def clocks_apart(self, mine: Offset, seconds: float) -> dict[str, Offset]:
        """Give the clocks that are more than `seconds` from `mine` for certain, in the ring's order."""
        (least, ahead), (most, behind) = self._sorted_clocks
        names = ahead[bisect_right(least, mine.most + seconds * SECOND) :]
        names = [*names, *behind[: bisect_left(most, mine.least - seconds * SECOND)]]
        return {name: self.clocks[name] for name in sorted(names, key=self._order.__getitem__)}

    @cached_property
    def _order(self) -> dict[str, int]:
        return {member.name: number for number, member in enumerate(self.members)}

    @cached_property
    def _sorted_clocks(self) -> tuple[tuple[list[int], list[str]], tuple[list[int], list[str]]]:
        least = sorted((found.least, name) for name, found in self.clocks.items())
        most = sorted((found.most, name) for name, found in self.clocks.items())
        return ([at for at, _ in least], [name for _, name in least]), (
            [at for at, _ in most],
            [name for _, name in most],
        )


@dataclass(frozen=True)
class Cluster:
    """One host among the others."""

    me: Member
    ring: Ring

    @cached_property
    def others(self) -> tuple[Member, ...]:
        """All but this host."""
        return tuple(member for member in self.ring.members if member.name != self.me.name)


def _by(pairs: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, name in pairs:
        found.setdefault(key, []).append(name)
    return found


Value = TypeVar("Value")


def _told(member: Member, read: Callable[[HostFacts], Value]) -> Value | None:
    """Read a fact of another host; None when it cannot be read, which fails that host's own check."""
    try:
        return read(member.facts)
    except ValueError:
        return None
