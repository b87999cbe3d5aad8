"""A reboot with proof: a new boot id, over a new connection."""

from __future__ import annotations

import time

from nornir.core.task import Task

from plugins.connections import close_shell, reopen_shell
from plugins.context import context_of
from plugins.errors import SudoError, UnreachableError
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.steps import Status, Step, StepsResult
from tasks.run_script import run_script

NAME = "reboot"


def reboot_host(task: Task, boot_id: str) -> StepsResult:
    """Reboot the host unless it has left the boot `boot_id` already, and wait until it answers from another one.

    The deadline is the settings' `reboot_deadline`.
    """
    began, limit = time.monotonic(), context_of(task).settings.reboot_deadline
    windows = host_settings(task.host).role is Role.WINDOWS
    look_template = "windows/gather_boot.ps1.j2" if windows else "linux/gather_boot.sh.j2"
    asked = run_script(task, "windows/reboot_host.ps1.j2" if windows else "linux/reboot_host.sh.j2", boot_id=boot_id)
    if asked.failed or task.is_dry_run():
        return asked
    seen = "it did not answer any more"
    while (left := limit - (time.monotonic() - began)) > 0:
        close_shell(task.host)
        if context_of(task).stop.wait(1):
            return _failed(task, "the run was stopped while the host was rebooting")
        try:
            reopen_shell(task, left, pause=1.0)
            # A host that goes down may take the login and lose the line before the script has started. One that has
            # come up may be busy with what it does at every boot, which is not waited for.
            look = run_script(task, look_template, deadline=60, look_only=True)
        except SudoError:
            raise
        except UnreachableError as error:
            seen = error.seen
            continue
        now = look.facts.get("boot_id", "")
        if now not in {"", boot_id}:
            return StepsResult(task.host, (Step(NAME, Status.CHANGED, time.monotonic() - began),), look.facts)
        bad = next((step for step in look.steps if step.status is Status.FAILED), None)
        seen = f"{bad.name}: {bad.message}" if bad else "it still answered from the boot before: it never went down"
    return _failed(task, f"not back after {limit:g} s: {seen}")


def _failed(task: Task, message: str) -> StepsResult:
    todo = "look at the host's console; when it is up again, run the same command again"
    return StepsResult(task.host, (Step(NAME, Status.FAILED, message=message),), todo=todo)
