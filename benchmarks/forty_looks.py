"""The task that is measured, written as tasks are, in a runbook of one stage: `python -m benchmarks.forty_looks`.

It stands for `python -m runbooks.task NAME` and imports all that this does, so that start-up costs the same.
"""

from __future__ import annotations

from typing import Annotated

import typer
from nornir.core.task import Task

import runbooks.task  # noqa: F401  # see above
from plugins.cli import application, main
from plugins.runner import run
from plugins.selection import Options
from plugins.stages import Runbook, Stage
from plugins.steps import StepsResult
from tasks.run_script import run_script


def conf(name: str) -> str:
    """A configuration file of about 0.4 KB."""
    lines = (f"{name}-{key} = {value}" for value, key in enumerate(("listen", "retry", "cache", "log", "limit") * 3))
    return "\n".join([f"# Settings of {name}", f"[{name}]", *lines, ""])


def unit(name: str) -> str:
    """A systemd unit of about 0.3 KB."""
    return f"""[Unit]
Description=The {name} of this node
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
ExecStart=/usr/local/bin/{name} --config /etc/{name}/{name}.conf --name "%H"
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
"""


def pem(kind: str, lines: int) -> str:
    """Text of a PEM file's form and size."""
    body = ["Rm9ydHkgbG9va3MgYW5k" * 3 + "TUlJ"] * lines
    return "\n".join([f"-----BEGIN {kind}-----", *body, f"-----END {kind}-----", ""])


def forty_looks(task: Task) -> StepsResult:
    """Look at forty things on the host, and mend what is not as wanted."""
    return run_script(task, "linux/forty_looks.sh.j2", conf=conf, unit=unit, pem=pem)


def runbook(times: int) -> Runbook:
    """Make a runbook of the one task, or of the same task so many times one after the other."""
    again = tuple(Stage(f"forty-looks-{time}", forty_looks) for time in range(2, times + 1))
    return Runbook("rerun", "Forty looks", (Stage("forty-looks", forty_looks), *again))


def rerun(options: Options, times: Annotated[int, typer.Option(min=1, help="Do it so often.")] = 1) -> int:
    """Run the one task."""
    return run(runbook(times), options)


if __name__ == "__main__":
    main(application(rerun, without=("only", "start")), "rerun")
