"""The steps protocol as the parser reads it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.steps import (
    LINE_LIMIT,
    Asks,
    Begin,
    End,
    Fact,
    Garbled,
    Output,
    SecretFact,
    Status,
    Step,
    StepsResult,
    Transcript,
    parse_line,
    visible,
)

MARK = "@0123456789abcdef "


def line(**fields: object) -> bytes:
    return (MARK + json.dumps(fields)).encode()


def test_a_secret_fact_is_apart_from_the_others() -> None:
    """Its value is a secret at once: it is in no text of the transcript or result, and both chain it."""
    event = parse_line(line(secret="node", value="eyJ.hidden"), MARK)
    assert isinstance(event, SecretFact)
    transcript = Transcript()
    transcript.add(event)
    assert (transcript.facts, transcript.secrets["node"].reveal()) == ({}, "eyJ.hidden")
    result = StepsResult(None, secrets=transcript.secrets) + StepsResult(None, facts={"a": "b"})
    assert result.secrets["node"].reveal() == "eyJ.hidden"
    for shown in (event, transcript, result.result, result.facts, result.secrets, result.diff):
        assert "hidden" not in f"{shown!r} {shown}"
    assert isinstance(parse_line(line(secret="node"), MARK), Garbled)


def test_every_kind_of_step_line_is_read() -> None:
    """Begin, step, fact and end lines become their own values."""
    assert parse_line(line(begin="package ovs"), MARK) == Begin("package ovs")
    assert parse_line(line(fact="cpus", value="2"), MARK) == Fact("cpus", "2")
    assert parse_line(line(end=3), MARK) == End(3)
    step = parse_line(line(step="reboot", status="changed", seconds=0.5, message="m", asks="reboot"), MARK)
    assert step == Step("reboot", Status.CHANGED, 0.5, message="m", asks=Asks.REBOOT)


@given(st.binary(max_size=200))
def test_whatever_a_command_prints_is_output(raw: bytes) -> None:
    """Without the run's marker at its very start no line is anything but output."""
    event = parse_line(raw.replace(b"\n", b" "), MARK)
    assert isinstance(event, Output)


@given(st.binary(max_size=200))
def test_what_follows_the_marker_never_breaks_the_parser(raw: bytes) -> None:
    """A line with the marker is an event or garbled, whatever its bytes are."""
    parse_line(MARK.encode() + raw, MARK)


@pytest.mark.parametrize(
    "rest",
    [b"", b"{", b"[]", b"null", b"{}", b'{"step":"x"}', b'{"step":"x","status":"done","seconds":1}', b'{"end":"x"}'],
)
def test_a_malformed_step_line_is_garbled(rest: bytes) -> None:
    """A line of ours that does not hold what it must is told apart from output."""
    assert isinstance(parse_line(MARK.encode() + rest, MARK), Garbled)


def test_a_line_over_the_limit_is_cut_for_the_log() -> None:
    """Megabytes without a newline neither fill the memory nor pass for a step."""
    event = parse_line(line(begin="x" * (LINE_LIMIT + 1)), MARK)
    assert isinstance(event, Output)
    assert len(event.text) < 5000


@given(st.text(st.characters(exclude_categories=[])))
def test_visible_text_moves_no_cursor_and_hides_nothing(text: str) -> None:
    """Escape codes and characters that reorder text come out as what they are."""
    shown = visible(text)
    assert not any(ord(c) < 32 and c not in "\t\n" for c in shown)
    shown.encode()
    assert not any(0x7F <= ord(c) <= 0x9F or 0x202A <= ord(c) <= 0x202E for c in shown)


def test_invalid_utf8_and_nul_bytes_travel() -> None:
    """A diff of a file that is not UTF-8 is shown with replacement characters."""
    raw = MARK.encode() + b'{"step":"f","status":"ok","seconds":0,"diff":"\xff\x1b[31m\\u0000"}'
    step = parse_line(raw, MARK)
    assert isinstance(step, Step)
    assert step.diff == "�\\x1b[31m\\x00"


def test_a_transcript_knows_what_was_running_when_it_stopped() -> None:
    """A begin line without its step names the step that the line went dead in."""
    transcript = Transcript()
    for event in (Begin("one"), Step("one", Status.OK), Begin("two")):
        transcript.add(event)
    assert (transcript.running, transcript.ended) == ("two", False)


def test_an_end_line_counts_the_steps() -> None:
    """An end line that counts more steps than came is no end."""
    transcript = Transcript()
    transcript.add(Step("one", Status.OK))
    transcript.add(End(2))
    assert not transcript.ended
    transcript.add(End(1))
    assert transcript.ended


def test_would_change_is_not_changed() -> None:
    """Nornir's `changed` says that something was written; a dry run never sets it."""
    result = StepsResult(None, (Step("one", Status.WOULD_CHANGE, diff="+x\n"),))
    assert (result.changed, result.would_change, result.failed, result.diff) == (False, True, False, "+x\n")
