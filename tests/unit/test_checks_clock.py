"""Clocks: how tightly a reading is bounded, and who is wrong when hosts disagree."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.checks.clock import HERE, SECOND, Offset, clock_facts, offset
from plugins.checks.cluster import COMPARE_RULES
from plugins.checks.facts import HostFacts
from plugins.checks.model import Check, Grade, judge_all
from plugins.checks.ring import Cluster, Member, Ring
from plugins.steps import Status, Step

NOW = 1_800_000_000


def reading(ahead: float, unsure: float = 0.01) -> dict[str, str]:
    """Facts of a clock that is `ahead` seconds ahead, read somewhere within `unsure` seconds on either side."""
    return {
        "clock": str(int((NOW + ahead) * SECOND)),
        "clock_earliest": str(int((NOW - unsure) * SECOND)),
        "clock_latest": str(int((NOW + unsure) * SECOND)),
    }


def ring(*clocks: dict[str, str]) -> tuple[Member, ...]:
    """Members h0 (the master), h1, ... with these facts."""
    return tuple(
        Member(f"h{number}", IPv4Address(f"10.0.0.{number + 1}"), number == 0, HostFacts(facts))
        for number, facts in enumerate(clocks)
    )


def skew(members: tuple[Member, ...], name: str) -> Check:
    """The check clock-skew as host `name` has it."""
    me = next(member for member in members if member.name == name)
    checks = judge_all(
        [rule for rule in COMPARE_RULES if rule.id == "clock-skew"], me.facts, Cluster(me, Ring(members))
    )
    return next(iter(checks))


def test_the_host_s_own_seconds_narrow_the_reading_down():
    """Waiting for another script and listening afterwards are not taken for network delay."""
    steps = [
        Step("wait for alice", Status.OK, seconds=40.0),
        Step("gather facts", Status.OK, seconds=0.5),
        Step("listen 300 s", Status.OK, seconds=0.25),
    ]
    facts = clock_facts(1000.0, 1040.8, steps)
    assert facts == {"clock_earliest": str(1040_500_000), "clock_latest": str(1040_550_000)}


def test_a_reading_with_steps_that_took_longer_than_the_whole_is_still_a_range():
    """Rounding on the host never turns the range around."""
    facts = {"clock": str(NOW * SECOND), **clock_facts(NOW, NOW + 0.1, [Step("gather facts", Status.OK, seconds=0.2)])}
    found = offset(HostFacts(facts))
    assert found.least <= found.most


@given(
    ahead=st.floats(-100, 100),
    delay=st.floats(0, 20),
    back=st.floats(0, 20),
    gather=st.floats(0, 5),
    rest=st.floats(0, 5),
)
def test_the_true_offset_is_always_within_the_range(ahead, delay, back, gather, rest):
    """However the time divides into sending, looking and answering, the range holds the truth."""
    asked = float(NOW)
    read = asked + delay + gather
    answered = read + rest + back
    steps = [Step("gather facts", Status.OK, seconds=gather), Step("listen 300 s", Status.OK, seconds=rest)]
    texts = {"clock": str(int((read + ahead) * SECOND)), **clock_facts(asked, answered, steps)}
    found = offset(HostFacts(texts))
    assert found.least - 10 <= ahead * SECOND <= found.most + 10
    assert found.most - found.least <= (delay + back) * SECOND + 20


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (Offset(0, 10), Offset(5, 20), 0),
        (Offset(0, 10), Offset(10, 20), 0),
        (Offset(0, 10), Offset(2_000_010, 2_000_020), 2.0),
        (Offset(-5_000_000, -4_000_000), HERE, 4.0),
    ],
)
def test_only_what_is_certain_counts_as_apart(one: Offset, other: Offset, apart: float):
    """Ranges that overlap may be the same time; others are apart by the gap between them, both ways alike."""
    assert one.certain(other) == other.certain(one) == apart


def test_two_hosts_that_disagree_both_fail_and_name_each_other():
    """With two nobody can tell who is wrong."""
    members = ring(reading(0), reading(45))
    for me, other, how in (("h0", "h1", "behind"), ("h1", "h0", "ahead of")):
        check = skew(members, me)
        assert check.status is Grade.FAILED
        assert check.seen == f"45.00 s {how} {other} (to within 0.02 s)"


def test_one_wrong_clock_fails_one_host():
    """The majority is right: the odd one fails and names them, the others have a note that names it."""
    members = ring(reading(0), reading(45), reading(0.2))
    assert [skew(members, member.name).status for member in members] == [Grade.NOTE, Grade.FAILED, Grade.NOTE]
    assert "h0" in skew(members, "h1").seen
    assert "h2" in skew(members, "h1").seen
    assert "behind h1" in skew(members, "h0").seen


def test_a_wrong_master_is_what_fails():
    """The master has no better clock than anybody else."""
    members = ring(reading(-90), reading(0), reading(0.1))
    assert [skew(members, member.name).status for member in members] == [Grade.FAILED, Grade.NOTE, Grade.NOTE]


def test_without_a_majority_everybody_fails():
    """Two against two: nobody is right."""
    members = ring(reading(0), reading(0), reading(60), reading(60))
    assert {skew(members, member.name).status for member in members} == {Grade.FAILED}


@pytest.mark.parametrize(
    ("ahead", "grade"), [(1.9, Grade.OK), (2.1, Grade.NOTE), (29.9, Grade.NOTE), (30.1, Grade.FAILED)]
)
def test_the_limits(ahead: float, grade: Grade):
    """A note above 2 s, failed above 30 s, measured without error."""
    assert skew(ring(reading(0, 0), reading(ahead, 0)), "h0").status is grade


def test_an_uncertain_reading_does_not_fail():
    """A line so slow that 40 s of difference may be no difference is not held against the host."""
    assert skew(ring(reading(0), reading(40, unsure=39)), "h1").status is Grade.OK


def test_an_unreadable_clock_fails_its_own_host_only():
    """The host without a clock fails; the others are compared without it."""
    members = ring(reading(0), {}, reading(0))
    assert [skew(members, member.name).status for member in members] == [Grade.OK, Grade.FAILED, Grade.OK]


def test_one_host_alone_is_fine():
    """There is nobody to disagree with."""
    assert skew(ring(reading(500)), "h0").status is Grade.OK
