"""May an authority be made? All that the state folder and the master can hold."""

from __future__ import annotations

import pytest

from plugins.pki.decision import Create, Keep, Refuse, authority_decision

OURS, OTHER = "AA:01", "BB:02"


@pytest.mark.parametrize(
    ("state", "master", "kind"),
    [
        (None, None, Create),
        (OURS, None, Keep),
        (OURS, OURS, Keep),
        (None, OTHER, Refuse),
        (OURS, OTHER, Refuse),
    ],
)
def test_a_new_authority_only_when_neither_side_has_one(state, master, kind):
    """Made only on a blank cluster; kept when both agree; refused when the master trusts another."""
    assert type(authority_decision(state, master)) is kind


@pytest.mark.parametrize("state", [None, OURS])
def test_a_refusal_says_what_was_seen_and_what_to_do(state):
    """Fingerprints of both sides are named, and restoring comes before starting anew."""
    refusal = authority_decision(state, OTHER)
    assert isinstance(refusal, Refuse)
    assert OTHER in refusal.reason
    assert (OURS in refusal.reason) is (state is not None)
    assert refusal.todo.index("restore") < refusal.todo.index("new CA")
