"""What hosts must not share, and what they should."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from plugins.checks.cluster import COMPARE_RULES
from plugins.checks.facts import HostFacts
from plugins.checks.model import Check, Grade, judge_all
from plugins.checks.ring import Cluster, Member, Ring


def member(number: int, **changes: str | None) -> Member:
    """A host h<number> with facts of its own."""
    texts = {
        "machine_id": f"{number:032x}",
        "hostname": f"h{number}",
        "system_id": f"id-{number}",
        "addresses": f"lo 127.0.0.1/8\neth0 10.0.0.{number}/24\ndocker0 172.17.0.1/16",
        "tunnel_mtu": "1500",
        "clock": "1800000000000000",
        "clock_earliest": "1800000000000000",
        "clock_latest": "1800000000000000",
    }
    known = {name: text for name, text in (texts | changes).items() if text is not None}
    return Member(f"h{number}", IPv4Address(f"10.0.0.{number}"), number == 1, HostFacts(known))


def judged(members: list[Member], number: int) -> dict[str, Check]:
    """All comparing checks of h<number> by id."""
    me = next(each for each in members if each.name == f"h{number}")
    return {check.id: check for check in judge_all(COMPARE_RULES, me.facts, Cluster(me, Ring(tuple(members))))}


def test_different_hosts_pass():
    """Each with its own ids and address, all is ok; a container network that all have is nobody's address."""
    members = [member(1), member(2), member(3)]
    for number in (1, 2, 3):
        assert {check.status for check in judged(members, number).values()} == {Grade.OK}


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        ("machine-id", {"machine_id": "f" * 32}),
        ("unique-hostname", {"hostname": "Debian"}),
        ("system-id", {"system_id": "same"}),
    ],
)
def test_what_two_hosts_share_fails_both_and_names_the_other(check: str, changes: dict[str, str]):
    """Both fail, upper and lower case alike, and the third does not."""
    other = {name: value.lower() for name, value in changes.items()}
    members = [member(1, **changes), member(2), member(3, **other)]
    assert judged(members, 1)[check].status is Grade.FAILED
    assert judged(members, 1)[check].seen.endswith("here and on h3")
    assert judged(members, 3)[check].seen.endswith("here and on h1")
    assert judged(members, 2)[check].status is Grade.OK


def test_hosts_without_a_system_id_do_not_share_one():
    """On bare hosts there is none yet."""
    members = [member(1, system_id=""), member(2, system_id="")]
    assert judged(members, 1)["system-id"].status is Grade.OK


def test_an_address_on_two_hosts_fails_both():
    """Whoever has another's address, and whoever it belongs to, fail and name each other."""
    members = [member(1), member(2, addresses="eth0 10.0.0.2/24\neth1 10.0.0.1/24"), member(3)]
    assert judged(members, 1)["unique-address"].seen == "10.0.0.1 is on h2, too"
    assert judged(members, 2)["unique-address"].seen == "10.0.0.1 of h1 is on h2, too"
    assert judged(members, 1)["unique-address"].status is Grade.FAILED
    assert judged(members, 2)["unique-address"].status is Grade.FAILED
    assert judged(members, 3)["unique-address"].status is Grade.OK


def test_different_mtus_are_a_note():
    """Each side is told of the other."""
    members = [member(1, tunnel_mtu="9000"), member(2), member(3)]
    assert judged(members, 1)["same-mtu"].status is Grade.NOTE
    assert judged(members, 1)["same-mtu"].seen == "9000 here, 1500 on 2 others"
    assert judged(members, 2)["same-mtu"].seen == "1500 here, 9000 on 1 others"


@pytest.mark.parametrize(
    ("check", "fact"),
    [
        ("machine-id", "machine_id"),
        ("unique-hostname", "hostname"),
        ("system-id", "system_id"),
        ("unique-address", "addresses"),
        ("same-mtu", "tunnel_mtu"),
        ("clock-skew", "clock"),
    ],
)
@pytest.mark.parametrize("text", [None, "\x1b[0m ? ?"])
def test_a_missing_fact_fails_its_own_host_only(check: str, fact: str, text: str | None):
    """The others are compared without it; a garbled id is an id like any other."""
    members = [member(1, **{fact: text}), member(2)]
    if text is None or fact in {"addresses", "tunnel_mtu", "clock"}:
        assert judged(members, 1)[check].status is Grade.FAILED
    assert judged(members, 2)[check].status is Grade.OK
