"""docs/preflight.md has every check, in the words of the lists themselves."""

from __future__ import annotations

import re

import pytest

from plugins.checks.cluster import COMPARE_RULES
from plugins.checks.host import HOST_RULES
from plugins.checks.kubernetes import rules_for
from plugins.checks.reach import REACH_RULES
from plugins.checks.windows import WINDOWS_RULES
from plugins.checks.windows_node import WINDOWS_NODE_RULES
from plugins.inventory.model import Role
from plugins.scripts import TEMPLATES

RULES = (*HOST_RULES, *WINDOWS_RULES, *COMPARE_RULES, *REACH_RULES)
DOCUMENT = (TEMPLATES.parent / "docs" / "preflight.md").read_text()


def test_every_check_is_a_row_and_every_row_a_check():
    """The tables are the lists: same ids, same order, same words."""
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \| (.*) \|$", DOCUMENT, re.MULTILINE)
    assert rows == [(rule.id, rule.wanted, rule.todo) for rule in RULES]


@pytest.mark.parametrize("alone", [HOST_RULES, WINDOWS_RULES], ids=["linux", "windows"])
def test_ids_are_unique(alone):
    """An id names one check, over all lists that are for one host."""
    rules = (*alone, *COMPARE_RULES, *REACH_RULES)
    assert len({rule.id for rule in rules}) == len(rules)


@pytest.mark.parametrize("rule", {(rule.wanted, rule.todo): rule for rule in RULES}.values(), ids=lambda rule: rule.id)
def test_what_to_do_is_one_line_of_advice(rule):
    """Each says something, on one line, without a full stop, so that it can stand at the end of a message."""
    for text in (rule.wanted, rule.todo):
        assert text == text.strip()
        assert len(text) > 3
        assert "\n" not in text
        assert not text.endswith(".")


def test_every_check_of_a_node_is_described():
    """docs/kubernetes.md names what verify asks of nodes; certificates share a row."""
    text = (TEMPLATES.parent / "docs" / "kubernetes.md").read_text()
    ids = {rule.id for role in (Role.MASTER, Role.LINUX) for rule in rules_for(role)}
    wanted = {"NAME-certificate" if name.endswith("-certificate") else name for name in ids}
    assert wanted <= set(re.findall(r"`([\w-]+)`", text))


def test_every_check_of_a_windows_node_is_described():
    """docs/windows.md has a row for each, in the words of the list."""
    text = (TEMPLATES.parent / "docs" / "windows.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \| (.*) \|$", text, re.MULTILINE)
    assert rows == [(rule.id, rule.wanted, rule.todo) for rule in WINDOWS_NODE_RULES]
