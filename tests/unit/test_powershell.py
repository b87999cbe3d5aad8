"""PowerShell bodies, the scripts made of them, and secrets beside them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.powershell import CARRIED, assemble, calls, environment, quote, secret_lines, verbs
from plugins.scripts import BodyError, Call
from plugins.secret import Secret

WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
QUOTES = st.text("'\u2018\u2019\u201a\u201b a", max_size=12)


def test_a_body_is_one_call_per_line() -> None:
    """Comments and empty lines are passed over, a quoted word may span lines, lines are counted."""
    body = "# why\ngather os_name hostname\n\nfile C:\\k\\x 'one\ntwo\n'\nfirewall_rule kubelet TCP '10250'\n"
    assert calls(body) == [
        Call("gather", ("os_name", "hostname"), 2),
        Call("file", ("C:\\k\\x", "one\ntwo\n"), 4),
        Call("firewall_rule", ("kubelet", "TCP", "10250"), 7),
    ]


@given(st.lists(WORDS | QUOTES, max_size=5))
def test_every_quoted_word_is_read_back(words: list[str]) -> None:
    """What the `ps` filter quotes, the reader of bodies takes for the same words."""
    body = " ".join(["gather", *(quote(word) for word in words)])
    assert calls(body)[0].arguments == tuple(words)


@pytest.mark.parametrize(
    "body",
    [
        "absent $(Restart-Computer)",
        "absent C:\\k; Restart-Computer",
        "absent C:\\k | Out-Null",
        "absent C:\\k > C:\\x",
        'absent "C:\\k"',
        "absent @('a')",
        "absent 'a'b",
        "absent a'b'",
        "absent -Path C:\\k",
        "absent 1",
        "absent C:\\k `",
        "absent C:\\k # and more",
        "absent 'open",
        "absent \u2018open",
        "if ($true) {",
        "$x = 1",
        "Restart-Computer",
        "_do x",
        "'absent' C:\\k; x",
    ],
)
def test_anything_else_in_a_body_is_refused(body: str) -> None:
    """No variable, no operator, no parameter, no unknown or private command gets into a body."""
    with pytest.raises(BodyError, match="line 1"):
        calls(body)
    with pytest.raises(BodyError, match="line 1"):
        assemble(body, marker="@feedc0de ", dry_run=True, wait=5, owner="test")


def test_a_secret_is_carried_beside_the_script() -> None:
    """The body has a word that stands for it; the same secret twice is carried once."""
    carried: list[Secret] = []
    key, word = Secret("-----BEGIN it's a key"), Secret("pässword")
    text = "\n".join(f"secret_file C:\\k\\x {{{{ {name} | secret }}}}" for name in "aba")
    body = environment("current").from_string(text).render(a=key, b=word, **{CARRIED: carried})
    assert [call.arguments[1] for call in calls(body)] == ["secret:0", "secret:1", "secret:0"]
    lines = secret_lines(carried).splitlines()
    assert [base64.b64decode(line.removeprefix("#secret ")).decode() for line in lines] == [
        key.reveal(),
        word.reveal(),
    ]


@pytest.mark.parametrize("text", ["file C:\\x {{ a | ps }}", "secret_file C:\\x {{ b | secret }}"])
def test_a_secret_and_a_text_are_not_taken_for_each_other(text: str) -> None:
    """A secret does not become a word of the script, not even as ***; and a text is none."""
    with pytest.raises(BodyError, match=r"secret"):
        environment("current").from_string(text).render(a=Secret("hidden-value"), b="text", **{CARRIED: []})


def test_the_filter_of_bash_is_not_there() -> None:
    """A word that is quoted for bash is not quoted for PowerShell."""
    assert "sh" not in environment("current").filters
    assert set(environment("current").filters) >= {"ps", "secret", "join"}


def test_every_verb_is_known_by_its_library() -> None:
    """Functions that begin with an underscore are none, and neither is the engine's own."""
    assert {"file", "gather", "reboot_now"} <= set(verbs())
    assert not {"steps_run", "steps_body"} & set(verbs())
    assert not [verb for verb in verbs() if verb.startswith("_")]
