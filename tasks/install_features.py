"""What of Windows itself has to be installed."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import RebootPolicy, context_of
from plugins.steps import StepsResult
from plugins.windows import CONTAINERS
from tasks.run_script import run_script


def install_features(task: Task) -> StepsResult:
    """Install the containers' feature, and make the reboots that Windows wants before and after."""
    never = context_of(task).reboot is RebootPolicy.NEVER
    return run_script(
        task,
        "windows/install_features.ps1.j2",
        feature=CONTAINERS,
        after=RebootPolicy.NEVER if never else RebootPolicy.NEEDED,
    )
