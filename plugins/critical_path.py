"""The longest chain of needs in a run: no schedule, however good, is faster than it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from plugins.inventory.model import Role
from plugins.results import HostResult, Link
from plugins.stages import Need, Scope, Stage


def critical_path(stages: Sequence[Stage], hosts: Mapping[str, HostResult]) -> tuple[Link, ...]:
    """Give the chain of stages, each needed by the next, that took longest; of stages that ran in this run only."""
    done = {name: {stage.name: stage.seconds for stage in host.stages} for name, host in hosts.items()}
    master = next((name for name, host in hosts.items() if host.role == Role.MASTER.value), "")
    best: dict[tuple[str, str], float] = {}
    before: dict[tuple[str, str], tuple[str, str]] = {}
    slowest: dict[str, tuple[str, str]] = {}
    for stage in stages:
        for host, seconds in done.items():
            if stage.name not in seconds:
                continue
            here = (stage.name, host)
            needs = [need for need in stage.needs if hosts[host].role in need.roles]
            earlier = max(
                (found for need in needs for found in _ends(need, host, master, slowest) if found in best),
                key=lambda found: best[found],
                default=None,
            )
            best[here] = seconds[stage.name] + (best[earlier] if earlier else 0.0)
            if earlier:
                before[here] = earlier
        ends = [(stage.name, host) for host in done if (stage.name, host) in best]
        if ends:
            slowest[stage.name] = max(ends, key=lambda end: best[end])
    return tuple(_chain(best, before, done))


def _ends(need: Need, host: str, master: str, slowest: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Give what one need waits for: of many hosts, the one that kept all others waiting."""
    if need.scope is Scope.ALL:
        if need.stage in slowest:
            yield slowest[need.stage]
    else:
        yield need.stage, host if need.scope is Scope.HOST else master


def _chain(
    best: Mapping[tuple[str, str], float],
    before: Mapping[tuple[str, str], tuple[str, str]],
    done: Mapping[str, Mapping[str, float]],
) -> list[Link]:
    here = max(best, key=lambda end: best[end], default=None)
    links: list[Link] = []
    while here is not None:
        stage, host = here
        links.append(Link(stage, host, done[host][stage]))
        here = before.get(here)
    return links[::-1]
