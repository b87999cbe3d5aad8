"""The stages in docs/operation.md are those of the bootstrap."""

import re

import pytest

from plugins.inventory.model import Role
from plugins.settings import ROOT
from plugins.stages import LINUX_ROLES
from runbooks.bootstrap import RUNBOOK

PLACES = {
    "every host": set(Role),
    "Linux": set(LINUX_ROLES),
    "master": {Role.MASTER},
    "Windows": {Role.WINDOWS},
    "Windows, with the master's word": {Role.MASTER, Role.WINDOWS},
}
ROW = re.compile(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)?) \| ([^|]+) \| [^|]+ \| ([^|]*)\|$", re.MULTILINE)
NAME = re.compile(r"`([a-z-]+)`")
TABLES = (
    (ROOT / "docs/operation.md")
    .read_text()
    .partition("## The stages")[2]
    .partition("\nA cluster that is more than an overlay")
)


def rows(table: str) -> dict[str, tuple[str, str]]:
    """Give where each stage is and what it needs; of a row of two, the first, as the second needs that."""
    return {NAME.findall(names)[0]: (where, needs) for names, where, needs in ROW.findall(table)}


@pytest.mark.parametrize(("table", "kubernetes"), [(TABLES[0], False), (TABLES[2], True)], ids=["overlay", "all"])
def test_a_stage_is_in_the_table_that_it_belongs_to(table: str, *, kubernetes: bool) -> None:
    """With the hosts that it is for, and what it needs."""
    stages = {stage.name: stage for stage in RUNBOOK.stages if stage.kubernetes is kubernetes}
    described = {name for names, *_ in ROW.findall(table) for name in NAME.findall(names)}
    assert described == stages.keys()
    for name, (where, needs) in rows(table).items():
        assert PLACES[where] == set(stages[name].roles), name
        assert set(NAME.findall(needs)) == {need.stage for need in stages[name].needs}, name
