"""What guards a Windows host lets the node do its work: Defender and the firewall."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.steps import StepsResult
from plugins.windows import EXCLUDED, FIREWALL
from tasks.run_script import run_script


def configure_protection(task: Task) -> StepsResult:
    """Leave the runtime and its files out of Defender's scans, and let in what the node serves."""
    return run_script(task, "windows/configure_protection.ps1.j2", excluded=EXCLUDED, rules=FIREWALL)
