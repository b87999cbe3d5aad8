"""Windows hosts' nodes are ready, as the master sees them."""

from __future__ import annotations

from collections.abc import Mapping

from nornir.core.task import Task

from plugins.kubernetes import SUPERUSER_CONFIG
from plugins.steps import StepsResult
from tasks.run_script import run_script

SECONDS = 180


def await_windows_nodes(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Await that the API calls the nodes of `gathered` (results of start_hybrid_overlay) ready."""
    if not gathered:
        return StepsResult(task.host)
    return run_script(
        task,
        "linux/await_windows_nodes.sh.j2",
        config=SUPERUSER_CONFIG,
        nodes=sorted(gathered),
        seconds=SECONDS,
    )
