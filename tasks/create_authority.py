"""The cluster's certificate authorities and keys, made on the operator's machine and kept there."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from nornir.core.task import Task

from plugins.context import context_of
from plugins.errors import StepError, UsageError
from plugins.kubernetes import ENCRYPTION_KEY, SERVICE_ACCOUNT_KEY, authorities_of, authority_file, public_key_file
from plugins.steps import Status, Step, StepsResult
from tasks.run_script import run_script

if TYPE_CHECKING:
    from plugins.pki.records import HeldAuthority, HeldKey, Planned


def create_authority(task: Task) -> StepsResult:
    """Make each authority and key unless there is one. None is made while the master has one that is not known here."""
    from plugins.pki.authority import host_fingerprint  # noqa: PLC0415  # X.509 is slow to import
    from plugins.pki.of_run import store_of  # noqa: PLC0415  # X.509 is slow to import

    context, dry_run, now = context_of(task), task.is_dry_run(), datetime.now(UTC)
    names = authorities_of(context)
    keys = (SERVICE_ACCOUNT_KEY, ENCRYPTION_KEY) if context.cluster.kubernetes else ()
    files = [(name, authority_file(name)) for name in names] + [(name, public_key_file(name)) for name in keys]
    result = run_script(task, "linux/create_authority.sh.j2", files=files)
    if result.failed:
        return result
    store, there = store_of(context), result.facts
    for name in names:
        title = f"{name} authority"
        master = host_fingerprint(there[name], task.host.name, title) if there.get(name) else None
        make = store.plan_authority if dry_run else store.ensure_authority
        result += _made(task, title, partial(make, name, now, master=master))
    for name in keys:
        make_key = store.plan_key if dry_run else store.ensure_key
        result += _made(task, f"{name} key", partial(make_key, name, master=there.get(name) or None))
    return result


def _made(task: Task, title: str, make: Callable[[], HeldAuthority | HeldKey | Planned]) -> StepsResult:
    """Make one of them, as a step of its own."""
    from plugins.pki.records import HeldAuthority, Planned  # noqa: PLC0415  # X.509 is slow to import

    began = time.monotonic()
    try:
        found = make()
    except UsageError as error:
        raise StepError(task.host.name, title, str(error)) from None
    if isinstance(found, Planned):
        step = Step(title, Status.WOULD_CHANGE, message=f"{found.what}: {found.reason}")
    else:
        about = [found.reason or ""] if found.changed else []
        about += [f"SHA-256 {found.fingerprint}"] if isinstance(found, HeldAuthority) else []
        status = Status.CHANGED if found.changed else Status.OK
        step = Step(title, status, time.monotonic() - began, message="; ".join(about))
    return StepsResult(task.host, (step,))
