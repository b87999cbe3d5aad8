"""Bodies, and the scripts made of them."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.scripts import BodyError, Call, assemble, calls, quote, verbs

WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def test_a_body_is_one_call_per_line() -> None:
    """Comments and empty lines are passed over, a quoted word may span lines, lines are counted."""
    body = "# why\npackage a b\n\nfile /etc/x 0644 root:root 'one\ntwo\n'\nline /etc/y 'it'\"'\"'s'\n"
    assert calls(body) == [
        Call("package", ("a", "b"), 2),
        Call("file", ("/etc/x", "0644", "root:root", "one\ntwo\n"), 4),
        Call("line", ("/etc/y", "it's"), 7),
    ]


@given(st.lists(WORDS, max_size=5))
def test_every_quoted_word_is_read_back(words: list[str]) -> None:
    """What the `sh` filter quotes, bash, shlex and the reader of bodies all take for the same words."""
    body = " ".join(["package", *(quote(word) for word in words)])
    assert calls(body)[0].arguments == tuple(words)
    assert shlex.split(body)[1:] == words


@pytest.mark.parametrize(
    "body",
    [
        "package $(reboot)",
        "package a; reboot",
        "package a && true",
        "package a > /etc/passwd",
        "package `id`",
        'package "$HOME"',
        "package $'x'",
        "package *",
        "package ~",
        "package a \\\n b",
        "for x in a; do",
        "x=1",
        "package 'open",
        "reboot",
        "_do rm",
    ],
)
def test_anything_else_in_a_body_is_refused(body: str) -> None:
    """No expansion, no operator, no unknown or private command gets into a body."""
    with pytest.raises(BodyError, match="line 1"):
        calls(body)


def test_nul_bytes_are_refused() -> None:
    """A shell word cannot hold a NUL byte, so no value with one is ever sent."""
    with pytest.raises(BodyError, match="NUL"):
        quote("a\0b")


def test_a_script_cut_anywhere_runs_nothing() -> None:
    """The body is a function that only the last line calls."""
    script = assemble("ensure x false true\n", marker="@m ", dry_run=False, wait=1, owner="o")
    assert script.rstrip("\n").rsplit("\n", 1)[1] == "steps_run steps_body"
    assert script.count("steps_run steps_body") == 1


def test_a_script_carries_only_the_library_that_it_uses() -> None:
    """What a script does not call does not travel, apart from the helpers that all build on."""
    script = assemble("ensure x false true\n", marker="@m ", dry_run=False, wait=1, owner="o")
    assert "\nhold_lock() {" not in script
    assert "\nensure() {" in script


def test_the_vocabulary_has_no_private_names() -> None:
    """Helpers of the library cannot be called from a body."""
    assert not [verb for verb in verbs() if verb.startswith("_")]
    assert {"package", "file", "service", "hold_lock"} <= set(verbs())
