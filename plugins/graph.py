"""Which (stage, host) pair may run when: pure bookkeeping over a runbook's needs, no threads and no hosts.

Every need is one edge. A need of scope ALL goes through one barrier per stage, so that 1,000 hosts cost
edges in proportion to their number and not to its square.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from plugins.inventory.model import Role
from plugins.results import StageStatus
from plugins.stages import Need, Scope, Stage


class Pair(NamedTuple):
    """One stage on one host."""

    stage: str
    host: str


GOOD = frozenset({StageStatus.OK, StageStatus.CHANGED, StageStatus.WOULD_CHANGE})
_BARRIER = "*"  # the host of the pair that stands for "this stage on all hosts"


@dataclass(frozen=True)
class Blocked:
    """A pair that will not run, because `need` was not met on `host`."""

    pair: Pair
    need: Need
    host: str


class Graph:
    """The pairs of one run; `take` hands out what is ready, `settle` tells how a pair ended."""

    def __init__(self, stages: Sequence[Stage], hosts: Mapping[str, Role], selected: Collection[Pair]) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._rank = {stage.name: rank for rank, stage in enumerate(stages)}
        self._hosts = dict(hosts)
        self._master = next((name for name, role in hosts.items() if role is Role.MASTER), "")
        self.pairs = [Pair(s.name, h) for s in stages for h in hosts if Pair(s.name, h) in selected]
        self._place = {pair: place for place, pair in enumerate(self.pairs)}
        self._open = dict.fromkeys(self.pairs)
        self.outcome: dict[Pair, StageStatus] = {}
        self._waits: dict[Pair, int] = defaultdict(int)
        self._then: dict[Pair, list[Pair]] = defaultdict(list)
        self._ready: dict[str, list[int]] = defaultdict(list)
        self._free = set(hosts)
        self._idle: set[str] = set()
        self._connect()

    def _connect(self) -> None:
        for barrier in {
            need.stage for stage in self._stages.values() for need in stage.needs if need.scope is Scope.ALL
        }:
            for pair in self.pairs:
                if pair.stage == barrier:
                    self._edge(pair, Pair(barrier, _BARRIER))
        for pair in self.pairs:
            for need in self._needs(pair):
                for before in self._inside(need, pair):
                    self._edge(before, pair)
        for pair in self.pairs:
            if not self._waits[pair]:
                self._offer(pair)

    def _edge(self, before: Pair, after: Pair) -> None:
        self._waits[after] += 1
        self._then[before].append(after)

    def _inside(self, need: Need, pair: Pair) -> list[Pair]:
        """Give what to wait for, of what this run itself does."""
        if need.scope is Scope.ALL:
            barrier = Pair(need.stage, _BARRIER)
            return [barrier] if self._waits.get(barrier) else []
        return [found for found in self._named(need, pair) if found in self._place]

    def outside(self, pair: Pair) -> list[Pair]:
        """Give the needs of `pair` that this run does not do itself: they are to be looked at."""
        needs = [need for need in self._needs(pair) if need.scope is not Scope.ALL]
        return [found for need in needs for found in self._named(need, pair) if found not in self._place]

    def _needs(self, pair: Pair) -> list[Need]:
        return [need for need in self._stages[pair.stage].needs if self._hosts[pair.host] in need.roles]

    def _named(self, need: Need, pair: Pair) -> list[Pair]:
        host = pair.host if need.scope is Scope.HOST else self._master
        stage = self._stages[need.stage]
        return [Pair(need.stage, host)] if host and self._hosts[host] in stage.roles else []

    def _offer(self, pair: Pair) -> None:
        heapq.heappush(self._ready[pair.host], self._place[pair])
        self._idle.add(pair.host)

    def take(self) -> list[Pair]:
        """Take all pairs that may start now; a host does one stage at a time."""
        hosts = [host for host in self._idle if host in self._free and self._ready[host]]
        taken = sorted(heapq.heappop(self._ready[host]) for host in hosts)
        self._free.difference_update(hosts)
        self._idle.clear()  # a busy host comes back when its stage settles, an idle one with its next offer
        return [self.pairs[place] for place in taken]

    def settle(self, pair: Pair, status: StageStatus) -> list[Blocked]:
        """Take the outcome of `pair`; return the pairs that it blocks, each settled as skipped here."""
        blocked: list[Blocked] = []
        self._free.add(pair.host)
        self._idle.add(pair.host)
        pending = [(pair, status)]
        while pending:
            done, outcome = pending.pop()
            self.outcome[done] = outcome
            self._open.pop(done, None)
            for after in self._then[done]:
                self._waits[after] -= 1
                if after in self.outcome:
                    continue
                if outcome not in GOOD and (need := self._need(done, after)):
                    # At once: a pair may need the same one twice, as its own host's and as the master's.
                    self.outcome[after] = StageStatus.SKIPPED
                    blocked.append(Blocked(after, need, done.host))
                    pending.append((after, StageStatus.SKIPPED))
                elif not self._waits[after]:
                    if after.host == _BARRIER:
                        pending.append((after, StageStatus.OK))
                    else:
                        self._offer(after)
        return blocked

    def _need(self, before: Pair, after: Pair) -> Need | None:
        """Give the need of `after` that only a good outcome of `before` meets; barriers and who tidies up have none."""
        stage = self._stages[after.stage]
        if after.host == _BARRIER or stage.always:
            return None
        needs = (need for need in self._needs(after) if need.stage == before.stage)
        return next((need for need in needs if need.scope is not Scope.ALL), None)

    @property
    def finished(self) -> bool:
        """Whether every pair has an outcome."""
        return not self._open
