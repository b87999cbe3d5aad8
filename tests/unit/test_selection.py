"""The commands that a run prints: they select the same again, and do no more than the run did."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from plugins.context import RebootPolicy
from plugins.errors import SelectionError
from plugins.graph import Pair
from plugins.selection import Options, first_command, rerun_command
from plugins.stages import Runbook
from runbooks import bootstrap, task, verify

PAIR = Pair("inspect", "linux-1")
APPS = {"task": task.app, "verify": verify.app}
PLAIN = "python -m runbooks.task inspect --host linux-1"


@pytest.mark.parametrize(
    ("options", "more"),
    [
        (Options(), ""),
        (Options(dry_run=True), " --dry-run"),
        (Options(reboot=RebootPolicy.NEVER), " --reboot never"),
        (Options(reboot=RebootPolicy.ALWAYS, dry_run=True), " --reboot always --dry-run"),
        (Options(mirror="/srv/my mirror", inventory=Path("a")), " -i a --mirror '/srv/my mirror'"),
    ],
)
def test_what_changes_a_run_is_said_again(options: Options, more: str) -> None:
    """A dry run must not become a real one by its own advice, nor a host reboot that was not to."""
    assert rerun_command(bootstrap.RUNBOOK, PAIR, options) == PLAIN + more


@pytest.mark.parametrize("runbook", [bootstrap.RUNBOOK, verify.RUNBOOK, verify.TRAFFIC])
def test_the_command_has_all_the_options(runbook: Runbook) -> None:
    """What is printed is understood by the command that it is for, with every option that its run can have."""
    mine = {} if runbook.name == "verify" else {"reboot": RebootPolicy.NEVER, "mirror": "http://mirror.example.org"}
    words = shlex.split(rerun_command(runbook, PAIR, Options(inventory=Path("a"), dry_run=True, **mine)))
    command = get_command(APPS[words[2].removeprefix("runbooks.")])
    command.make_context(words[2], words[3:])


def test_what_is_needed_first_is_done_for_real() -> None:
    """A dry run of it would leave its need as unmet as before."""
    options = Options(dry_run=True, reboot=RebootPolicy.NEVER)
    assert first_command(bootstrap.RUNBOOK, PAIR, options) == f"{PLAIN} --reboot never"


@pytest.mark.parametrize("runbook", [bootstrap.RUNBOOK, verify.TRAFFIC])
def test_an_unknown_stage_lists_all_of_them(runbook: Runbook) -> None:
    """None is left out, however many there are: the help of bootstrap relies on it."""
    with pytest.raises(SelectionError) as caught:
        runbook.stage("?")
    names = ", ".join(stage.name for stage in runbook.stages)
    assert str(caught.value) == f'no stage "?" in {runbook.name}: the stages are: {names}'


def test_help_tells_the_stages() -> None:
    """Those of verify, with and without --traffic; how to see those of the bootstrap."""
    epilog = get_command(verify.app).epilog or ""
    assert not [stage.name for stage in verify.TRAFFIC.stages if not re.search(rf"[ \n]{stage.name}[,\n]", epilog)]
    (only,) = [option for option in get_command(bootstrap.app).params if "--only" in option.opts]
    assert "lists them all" in str(getattr(only, "help", ""))
