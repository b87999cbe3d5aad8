"""What may run when, decided without threads or hosts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nornir.core.task import Result, Task

from plugins.graph import Graph, Pair
from plugins.inventory.model import Role
from plugins.results import StageStatus
from plugins.stages import Need, Runbook, Scope, Stage

OK, FAILED, SKIPPED = StageStatus.OK, StageStatus.FAILED, StageStatus.SKIPPED


def noop(task: Task) -> Result:
    return Result(task.host)


STAGES = (
    Stage("install", noop),
    Stage("central", noop, roles=(Role.MASTER,), needs=(Need("install", Scope.HOST, "packages"),)),
    Stage("join", noop, needs=(Need("install", Scope.HOST, "packages"), Need("central", Scope.MASTER, "database"))),
    Stage("verify", noop, needs=(Need("join", Scope.HOST, "joined"), Need("join", Scope.ALL, "tunnels"))),
    Stage("tidy", noop, needs=(Need("verify", Scope.ALL, "all are done"),), always=True),
)
HOSTS = {"m": Role.MASTER, "a": Role.LINUX, "b": Role.LINUX}


def graph(hosts: dict[str, Role] = HOSTS, stages: tuple[Stage, ...] = STAGES) -> Graph:
    every = {Pair(s.name, h) for s in stages for h, role in hosts.items() if role in s.roles}
    return Graph(stages, hosts, every)


def test_a_host_does_not_wait_for_its_neighbours() -> None:
    """A stage starts as soon as what it needs is there, whatever the others still do."""
    g = graph()
    assert g.take() == [Pair("install", "m"), Pair("install", "a"), Pair("install", "b")]
    g.settle(Pair("install", "m"), OK)
    assert g.take() == [Pair("central", "m")]
    g.settle(Pair("install", "a"), OK)
    assert g.take() == []
    g.settle(Pair("central", "m"), OK)
    assert g.take() == [Pair("join", "m"), Pair("join", "a")]  # b still installs


def test_all_means_all_that_have_not_failed() -> None:
    """A failed worker holds up nobody's need of all hosts."""
    g = graph()
    g.take()
    for host in "ma":
        g.settle(Pair("install", host), OK)
    blocked = g.settle(Pair("install", "b"), FAILED)
    assert [(each.pair, each.host) for each in blocked] == [
        (Pair("join", "b"), "b"),
        (Pair("verify", "b"), "b"),
    ]
    g.take()
    g.settle(Pair("central", "m"), OK)
    assert set(g.take()) == {Pair("join", "m"), Pair("join", "a")}
    g.settle(Pair("join", "m"), OK)
    assert g.take() == []
    g.settle(Pair("join", "a"), OK)
    assert set(g.take()) == {Pair("verify", "m"), Pair("verify", "a")}


def test_a_failed_master_stops_what_needs_it_and_nothing_else() -> None:
    """Workers still install; what needs the master's database is skipped and says so."""
    g = graph()
    g.take()
    blocked = g.settle(Pair("install", "m"), FAILED)
    assert {each.pair for each in blocked} >= {Pair("central", "m"), Pair("join", "m")}
    g.settle(Pair("install", "a"), OK)
    assert g.outcome[Pair("join", "a")] is SKIPPED
    g.settle(Pair("install", "b"), OK)
    assert g.outcome[Pair("install", "b")] is OK
    assert set(g.take()) == {Pair("tidy", host) for host in HOSTS}


def test_a_pair_that_is_blocked_twice_is_told_once() -> None:
    """On the master, a need of the own host and one of the master may be the same pair; the reader hears of one."""
    needs = (Need("install", Scope.HOST, "packages"), Need("install", Scope.MASTER, "the master's, too"))
    g = graph(stages=(STAGES[0], Stage("ready", noop, needs=needs)))
    g.take()
    blocked = g.settle(Pair("install", "m"), FAILED)
    assert sorted(each.pair for each in blocked) == [Pair("ready", name) for name in ("a", "b", "m")]


def test_a_host_does_one_stage_at_a_time() -> None:
    """Two stages that are both ready on one host run one after the other, in the runbook's order."""
    g = graph({"m": Role.MASTER}, (Stage("one", noop), Stage("two", noop)))
    assert g.take() == [Pair("one", "m")]
    assert g.take() == []
    g.settle(Pair("one", "m"), FAILED)
    assert g.take() == [Pair("two", "m")]


def test_needs_outside_the_selection_are_named() -> None:
    """With only one stage of one host selected, what it needs is to be looked at."""
    g = Graph(STAGES, HOSTS, {Pair("join", "a")})
    assert g.take() == [Pair("join", "a")]
    assert g.outside(Pair("join", "a")) == [Pair("install", "a"), Pair("central", "m")]


def test_a_need_of_some_roles_holds_up_nobody_else() -> None:
    """Where a host's role does not need it, it is neither waited for nor looked at, and blocks nothing."""
    needs = (Need("install", Scope.HOST, "packages", roles=(Role.MASTER,)),)
    stages = (Stage("install", noop), Stage("run", noop, needs=needs))
    g = graph({"m": Role.MASTER, "a": Role.LINUX}, stages)
    g.take()
    blocked = [g.settle(Pair("install", host), FAILED) for host in "ma"]
    assert [each.pair for some in blocked for each in some] == [Pair("run", "m")]
    assert g.take() == [Pair("run", "a")]
    alone = Graph(stages, HOSTS, {Pair("run", "m"), Pair("run", "a")})
    assert [alone.outside(Pair("run", host)) for host in "ma"] == [[Pair("install", "m")], []]


def test_a_runbook_reads_from_top_to_bottom() -> None:
    """A need on a later stage is refused when the runbook is made."""
    with pytest.raises(ValueError, match="does not come before"):
        Runbook("x", "x", (Stage("a", noop, needs=(Need("b", Scope.HOST, "r"),)), Stage("b", noop)))


@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_every_run_comes_to_its_end(random: object, workers: int) -> None:
    """Whatever fails in whatever order, every pair gets exactly one outcome and none runs before its needs."""
    hosts = {"m": Role.MASTER} | {f"w{n}": Role.LINUX for n in range(workers)}
    g = graph(hosts)
    running: list[Pair] = []
    while not g.finished:
        running += g.take()
        assert running, "nothing runs and nothing is finished"
        pair = running.pop(random.randrange(len(running)))  # type: ignore[attr-defined]
        assert pair not in g.outcome
        g.settle(pair, random.choice([OK, OK, FAILED]))  # type: ignore[attr-defined]
    assert set(g.outcome) >= set(g.pairs)


def test_the_cost_grows_with_the_hosts_and_not_with_their_square() -> None:
    """Ten times the hosts make ten times the edges."""

    def edges(count: int) -> int:
        hosts = {"m": Role.MASTER} | {f"w{n}": Role.LINUX for n in range(count)}
        return sum(len(after) for after in graph(hosts)._then.values())

    began = time.monotonic()
    assert edges(1000) < 11 * edges(100)
    assert time.monotonic() - began < 5
