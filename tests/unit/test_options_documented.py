"""The options in docs/operation.md are those of the commands."""

import re

import pytest
from typer.main import get_command

from plugins.settings import ROOT
from runbooks import bootstrap, task, verify

COMMANDS = {"bootstrap": bootstrap.app, "verify": verify.app, "task": task.app}
ROW = re.compile(r"^\| (`-.+?) \| (.+) \|$", re.MULTILINE)
ONLY = re.compile(r"\((`[a-z]+`(?:, `[a-z]+`)*)\)$")  # at the end: the commands that have it, if not all


def documented(command: str) -> dict[str, bool]:
    """Give each option in the table, and whether the command has it by what is said there."""
    found: dict[str, bool] = {}
    for options, meaning in ROW.findall((ROOT / "docs/operation.md").read_text()):
        only = ONLY.search(meaning)
        for option in re.findall(r"`(-{1,2}[a-z-]+)", options):
            found[option] = only is None or f"`{command}`" in only[1]
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_is_documented_for_the_commands_that_have_it(command: str) -> None:
    """No command lacks an option that the table promises, nor has one that is said to be others' only."""
    has = {option for parameter in get_command(COMMANDS[command]).params for option in parameter.opts}
    table = documented(command)
    assert table.keys() >= {"-i", "--only", "--from", "--mirror", "--reboot"}
    assert {option: option in has for option in table} == table
