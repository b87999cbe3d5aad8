"""One stage again on chosen hosts: `python -m runbooks.task NAME`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from plugins.cli import Reboot, application, main
from plugins.context import RebootPolicy
from plugins.errors import SelectionError
from plugins.runner import run
from plugins.selection import Options
from runbooks.bootstrap import RUNBOOK

NAMES = ", ".join(stage.name for stage in RUNBOOK.stages)
EXAMPLES = f"""The names: {NAMES}

Examples:
  python -m runbooks.task certificates --host linux-1
  python -m runbooks.task bridge --role linux --dry-run
"""


def task(
    options: Options,
    name: Annotated[str, typer.Argument(help="A stage of the bootstrap, or the name of its task.")],
    reboot: Reboot = RebootPolicy.NEEDED,
) -> int:
    """Run one stage of the bootstrap again. What it needs first is looked at, and not run."""
    try:
        stage = RUNBOOK.stage(name)
    except SelectionError as error:
        print(error, file=sys.stderr)
        return 2
    return run(
        replace(RUNBOOK, name="task", title=f"Stage {stage.name}"), replace(options, only=(stage.name,), reboot=reboot)
    )


app = application(task, epilog=EXAMPLES, without=("only", "start"))

if __name__ == "__main__":
    main(app, "task")
