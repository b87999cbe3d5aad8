"""What guards a Windows host lets the node do its work: Defender and the firewall."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.steps import StepsResult
from plugins.windows import EXCLUDED, let_in
from tasks.run_script import run_script


def configure_protection(task: Task) -> StepsResult:
    """Leave the runtime and its files out of Defender's scans, and let in what the node serves."""
    rules = let_in(context_of(task).cluster)
    return run_script(task, "windows/configure_protection.ps1.j2", excluded=EXCLUDED, rules=rules)
