"""What hosts look up about each other costs the same for each, however many there are, and is what all pairs say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from plugins.checks.clock import Offset, offset
from plugins.checks.cluster import COMPARE_RULES
from plugins.checks.facts import HostFacts
from plugins.checks.model import Grade, judge_all
from plugins.checks.ring import Cluster, Member, Ring
from plugins.gathered import Gathered
from plugins.steps import StepsResult


class Counted(Mapping[str, str]):
    """Facts that count how often they are read."""

    reads = 0

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def __getitem__(self, name: str) -> str:
        Counted.reads += 1
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def ring(clocks: list[tuple[int, int]]) -> Ring:
    """Hosts h0, h1, ... whose clocks are ahead by these milliseconds, within so many."""
    return Ring(tuple(map(member, range(len(clocks)), clocks)))


def member(number: int, clock: tuple[int, int]) -> Member:
    ahead, unsure = clock
    texts = {
        "machine_id": f"{number:032x}",
        "hostname": f"h{number}",
        "system_id": f"id-{number}",
        "addresses": f"lo 127.0.0.1/8\neth0 {IPv4Address('10.0.0.1') + number}/16",
        "tunnel_mtu": "1500",
        "clock": str(10**9 + 1000 * ahead),
        "clock_earliest": str(10**9 - 1000 * unsure),
        "clock_latest": str(10**9 + 1000 * unsure),
    }
    return Member(f"h{number}", IPv4Address("10.0.0.1") + number, number == 0, HostFacts(Counted(texts)))


def reads_for(count: int) -> int:
    """Judge all of `count` hosts by all comparing checks, and give how many facts were read for that."""
    before, compared = Counted.reads, ring([(0, 0)] * count)
    for each in compared.members:
        checks = judge_all(COMPARE_RULES, each.facts, Cluster(each, compared))
        assert {check.status for check in checks} == {Grade.OK}
    return Counted.reads - before


def test_comparing_twice_as_many_hosts_reads_twice_as_many_facts() -> None:
    """And not four times as many: 1,000 hosts would otherwise read ten million."""
    assert reads_for(400) == 2 * reads_for(200)


@given(st.lists(st.tuples(st.integers(-9000, 9000), st.integers(0, 4000)), min_size=1, max_size=12), st.floats(0, 9))
def test_clocks_that_are_apart_are_those_that_comparing_all_pairs_finds(
    clocks: list[tuple[int, int]], seconds: float
) -> None:
    """In the ring's order, whatever the clocks say and however unsure that is."""
    compared = ring(clocks)
    told: dict[str, Offset] = {each.name: offset(each.facts) for each in compared.members}
    for mine in told.values():
        pairs = [name for name, their in told.items() if mine.certain(their) > seconds]
        assert list(compared.clocks_apart(mine, seconds)) == pairs


def test_what_is_made_of_all_results_is_made_once() -> None:
    """And anew when another host's result has come in since."""
    gathered, made = Gathered(h1=StepsResult(None)), []
    for _ in range(3):
        assert gathered.once("names", lambda: made.append(sorted(gathered)) or made[-1]) == ["h1"]
    gathered["h2"] = StepsResult(None)
    assert gathered.once("names", lambda: made.append(sorted(gathered)) or made[-1]) == ["h1", "h2"]
    assert len(made) == 2
