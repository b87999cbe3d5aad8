"""The longest chain of needs, on runs small enough to be checked by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plugins.critical_path import critical_path
from plugins.inventory.model import Role
from plugins.results import HostResult, Link, StageResult, StageStatus
from plugins.stages import Need, Scope, Stage


def nothing(_task):
    """No task is run here."""


STAGES = (
    Stage("look", nothing),
    Stage("install", nothing, needs=(Need("look", Scope.HOST, "an unfit host gets nothing"),)),
    Stage("central", nothing, roles=(Role.MASTER,), needs=(Need("install", Scope.HOST, "it comes with the packages"),)),
    Stage(
        "join",
        nothing,
        needs=(
            Need("central", Scope.MASTER, "hosts register with the master"),
            Need("install", Scope.HOST, "it comes with the packages"),
        ),
    ),
    Stage("compare", nothing, needs=(Need("join", Scope.ALL, "hosts are compared with each other"),)),
)


def run(**hosts: dict[str, float]) -> dict[str, HostResult]:
    """Results of hosts, `m` the master: seconds by stage, in the order of the stages."""
    return {
        name: HostResult(
            name,
            "master" if name == "m" else "linux",
            [StageResult(stage, StageStatus.OK, seconds) for stage, seconds in took.items()],
        )
        for name, took in hosts.items()
    }


def test_the_chain_goes_where_the_time_went():
    """The worker waits for the master's databases, and the master for the worker's comparison."""
    hosts = run(
        m={"look": 1, "install": 30, "central": 2, "join": 1, "compare": 1},
        w={"look": 1, "install": 20, "join": 5, "compare": 1},
    )
    assert critical_path(STAGES, hosts) == (
        Link("look", "m", 1),
        Link("install", "m", 30),
        Link("central", "m", 2),
        Link("join", "w", 5),
        Link("compare", "m", 1),
    )


def test_a_slow_worker_is_on_the_chain_itself():
    """What nobody waits for is not on it."""
    hosts = run(m={"look": 1, "install": 3, "central": 1, "join": 1}, w={"look": 1, "install": 90, "join": 1})
    assert [(link.stage, link.host) for link in critical_path(STAGES, hosts)] == [
        *(("look", "w"), ("install", "w"), ("join", "w"))
    ]


def test_a_part_of_a_runbook_has_a_chain_of_what_ran():
    """Needs that an earlier run has met do not count; nothing at all is no chain."""
    assert critical_path(STAGES, run(w={"join": 2})) == (Link("join", "w", 2),)
    assert critical_path(STAGES, {}) == ()


def test_a_need_of_other_roles_is_no_link():
    """A host waits for nothing that only hosts of another role need."""
    needs = (Need("look", Scope.HOST, "the master is looked at", roles=(Role.MASTER,)),)
    hosts = run(m={"look": 1, "go": 2}, w={"look": 5, "go": 2})
    stages = (STAGES[0], Stage("go", nothing, needs=needs))
    assert critical_path(stages, hosts) == (Link("look", "w", 5),)


@given(st.lists(st.floats(0, 100), min_size=9, max_size=9))
def test_no_chain_is_longer_than_all_its_stages_and_none_shorter_than_the_longest(seconds: list[float]):
    """It has each stage once, in order, and no single stage took longer."""
    took = iter(seconds)
    hosts = run(
        m={name: next(took) for name in ("look", "install", "central", "join", "compare")},
        w={name: next(took) for name in ("look", "install", "join", "compare")},
    )
    chain = critical_path(STAGES, hosts)
    names = [stage.name for stage in STAGES]
    places = [names.index(link.stage) for link in chain]
    assert places == sorted(set(places))
    assert sum(link.seconds for link in chain) >= max(seconds) - 1e-9
