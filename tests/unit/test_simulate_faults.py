"""Faults: how they are written, when they strike, and that the page about them has them all."""

from __future__ import annotations

import pytest

from plugins.errors import UsageError
from plugins.scripts import verbs
from plugins.settings import ROOT
from plugins.simulate.faults import COMMON, KINDS, FaultBook, Place, garbage, parse_fault
from plugins.steps import Output, parse_line


@pytest.mark.parametrize(
    ("text", "where", "kind", "options"),
    [
        ("linux-3:install:fail", "install", "fail", {}),
        ("linux-3:fail", "*", "fail", {}),
        ("*:no-return", "*", "no-return", {}),
        ("linux-?:a/file*:fail:output=E: a, b:c,times=2", "a/file*", "fail", {"output": "E: a, b:c", "times": "2"}),
        ("linux-1:closed:seconds=1.5", "*", "closed", {"seconds": "1.5"}),
        ("linux-1:fact:memory_mib=512,os_id=beos", "*", "fact", {"memory_mib": "512", "os_id": "beos"}),
        ("linux-1:clock-skew:seconds=-90", "*", "clock-skew", {"seconds": "-90"}),
    ],
)
def test_a_fault_is_read(text: str, where: str, kind: str, options: dict[str, str]) -> None:
    """HOST:KIND or HOST:WHERE:KIND, then options; commas and colons may stand in an option's value."""
    fault = parse_fault(text)
    assert (fault.where, fault.kind) == (where, kind)
    assert fault.options == options


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("linux-1", "HOST:KIND"),
        ("linux-1:fial", 'did you mean "fail"'),
        ("linux-1:install:explode", "the kinds of fault are"),
        (":fail", "the host is missing"),
        ("linux-1:install:closed", "write linux-1:closed"),
        ("linux-1:fail:often", "no OPTION=VALUE"),
        ("linux-1:fail:seconds=1", "the options of fail are"),
        ("linux-1:hang:seconds=long", "seconds is a number"),
        ("linux-1:cut:at=end", "at is one of"),
    ],
)
def test_a_wrong_fault_says_what_is_wrong(text: str, words: str) -> None:
    """Every error names the fault as it was written."""
    with pytest.raises(UsageError, match=words) as raised:
        parse_fault(text)
    assert text in str(raised.value)


def test_a_fault_strikes_as_often_as_it_says() -> None:
    """`after` lets some matches pass, times counts those that it strikes, on each host for itself."""
    book = FaultBook([parse_fault("linux-*:install:fail:after=1,times=2")])
    strikes = [book.strike("linux-1", ("fail",), ("install",)) is not None for _ in range(5)]
    assert strikes == [False, True, True, False, False]
    assert [book.strike("linux-2", ("fail",), ("install",)) is not None for _ in range(2)] == [False, True]
    assert book.strike("master-1", ("fail",), ("install",)) is None
    assert book.strike("linux-1", ("fail",), ("bridge",)) is None
    assert book.strike("linux-1", ("hang",), ("install",)) is None


def test_no_kind_is_called_like_a_verb() -> None:
    """HOST:WHERE:KIND and HOST:KIND can be told apart."""
    assert not set(KINDS) & set(verbs())


def test_garbage_is_no_step() -> None:
    """Whatever it holds, the parser takes every line of it for output."""
    events = [parse_line(line, "@0123456789abcdef ") for line in garbage().split(b"\n")]
    assert all(isinstance(event, Output) for event in events)


@pytest.fixture
def page() -> str:
    """The page about simulated hosts."""
    return (ROOT / "docs" / "simulated-hosts.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_has_every_fault(page: str, kind: str) -> None:
    """Each kind has its row, with its own words and options."""
    entry = KINDS[kind]
    row = next((line for line in page.splitlines() if line.startswith(f"| `{kind}` |")), "")
    assert entry.says in row
    assert all(f"`{option}`" in row for option in entry.options if option != "*")


def test_the_page_has_the_common_options(page: str) -> None:
    """`times` and `after` go with every kind that strikes at a moment."""
    assert all(f"`{option}=" in page for option in COMMON)
    assert {kind.place for kind in KINDS.values()} == set(Place)
