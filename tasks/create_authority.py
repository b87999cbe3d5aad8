"""The cluster's certificate authority, made on the operator's machine and kept there."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from nornir.core.task import Task

from plugins.context import context_of
from plugins.errors import StepError, UsageError
from plugins.overlay import AUTHORITY
from plugins.steps import Status, Step, StepsResult
from tasks.run_script import run_script

NAME = "certificate authority"


def create_authority(task: Task) -> StepsResult:
    """Make the authority unless there is one. None is made while the master trusts one that is not known here."""
    from plugins.pki.authority import host_fingerprint  # noqa: PLC0415  # X.509 is slow to import
    from plugins.pki.of_run import store_of  # noqa: PLC0415  # X.509 is slow to import
    from plugins.pki.records import HeldAuthority  # noqa: PLC0415  # X.509 is slow to import

    looked = run_script(task, "linux/create_authority.sh.j2", file=AUTHORITY)
    if looked.failed:
        return looked
    began, now = time.monotonic(), datetime.now(UTC)
    text = looked.facts.get("authority", "")
    there = host_fingerprint(text, task.host.name, NAME) if text else None
    store, dry_run = store_of(context_of(task)), task.is_dry_run()
    try:
        found = (store.plan_authority if dry_run else store.ensure_authority)("ovn", now, master=there)
    except UsageError as error:
        raise StepError(task.host.name, NAME, str(error)) from None
    if isinstance(found, HeldAuthority):
        status = Status.CHANGED if found.changed else Status.OK
        message = f"{found.reason + '; ' if found.changed and found.reason else ''}SHA-256 {found.fingerprint}"
    else:
        status, message = Status.WOULD_CHANGE, f"{found.what}: {found.reason}"
    return looked + StepsResult(task.host, (Step(NAME, status, time.monotonic() - began, message=message),))
