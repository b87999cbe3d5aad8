"""docs/overlay.md has every check of the overlay, and the names that a traffic probe uses on hosts."""

from __future__ import annotations

import re

import pytest

from plugins.checks.overlay import OVERLAY_RULES
from plugins.scripts import TEMPLATES, libraries
from plugins.traffic import ALL_PAIRS, AROUND, COUNT, SMALL, SWITCH
from runbooks.verify import TRAFFIC

DOCUMENT = (TEMPLATES.parent / "docs" / "overlay.md").read_text()
ROWS = re.findall(r"^\| `([\w-]+)` \| (.*) \| (.*) \|$", DOCUMENT, re.MULTILINE)


def test_every_check_is_a_row() -> None:
    """Same ids, same order, same words as in the list itself."""
    rules = [(rule.id, rule.wanted, rule.todo) for rule in OVERLAY_RULES]
    assert ROWS[: len(rules)] == rules


def test_every_stage_of_the_traffic_is_a_row() -> None:
    """In the order in which they run."""
    names = [stage.name for stage in TRAFFIC.stages if stage.name.startswith("traffic")]
    assert [row[0] for row in ROWS if row[0].startswith("traffic")] == names


@pytest.mark.parametrize("name", ["TRAFFIC_SWITCH", "TRAFFIC_NAMESPACE", "TRAFFIC_PORT"])
def test_names_on_hosts_are_those_of_the_library(name: str) -> None:
    """Whoever clears up by hand finds what is there; the switch's name is the same in Python and in bash."""
    match = re.search(rf"^{name}=(\S+)$", libraries()["traffic"], re.MULTILINE)
    assert match is not None
    assert f"`{match[1]}`" in DOCUMENT
    if name == "TRAFFIC_SWITCH":
        assert match[1] == SWITCH


def test_numbers_are_those_of_the_code() -> None:
    """Sizes and counts in words and figures."""
    words = {3: "Three", 4: "four"}
    for said in (
        f"Up to {ALL_PAIRS} hosts",
        f"{words[AROUND]} neighbours",
        f"{words[COUNT]} of each",
        f": {SMALL} bytes",
    ):
        assert said in DOCUMENT
