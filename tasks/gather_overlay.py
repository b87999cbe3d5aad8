"""What the overlay looks like from one host. Changes nothing."""

from __future__ import annotations

import time

from nornir.core.task import Task

from plugins.checks.bare import with_remedy
from plugins.checks.clock import clock_facts
from plugins.connections import shell_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.overlay import AUTHORITY, CERTIFICATE, KEY, databases, services
from plugins.steps import StepsResult
from tasks.run_script import run_script


def gather_overlay(task: Task) -> StepsResult:
    """Gather what compare_overlay judges, as facts of the result."""
    settings = host_settings(task.host)
    shell_of(task)  # the time to connect must not count as the clock's error
    asked = time.time()
    result = run_script(
        task,
        "linux/gather_overlay.sh.j2",
        nic=settings.nic or "",
        databases=databases(task),
        files=(KEY, CERTIFICATE, AUTHORITY),
        services=services(settings.role),
        master=settings.role is Role.MASTER,
    )
    with_remedy(result)
    facts = result.facts | clock_facts(asked, time.time(), result.steps)
    return StepsResult(task.host, result.steps, facts, result.todo)
