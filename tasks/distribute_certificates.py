"""A host's own key and certificate, and the authority's certificate; never the authority's key."""

from __future__ import annotations

from datetime import UTC, datetime

from nornir.core.task import Task

from plugins.context import context_of
from plugins.errors import StepError, UsageError
from plugins.inventory import host_settings
from plugins.overlay import AUTHORITY, CERTIFICATE, KEY
from plugins.steps import Status, Step, StepsResult
from tasks.run_script import run_script


def distribute_certificates(task: Task) -> StepsResult:
    """Put the host's certificate in place where it differs; issue it anew where there is a reason to."""
    from plugins.pki.of_run import store_of  # noqa: PLC0415  # X.509 is slow to import
    from plugins.pki.profiles import Names  # noqa: PLC0415  # X.509 is slow to import
    from plugins.pki.records import Leaf  # noqa: PLC0415  # X.509 is slow to import

    context, settings = context_of(task), host_settings(task.host)
    names = Names(context.cluster.name, task.host.name, context.cluster.dns_domain, (settings.address,))
    store, dry_run = store_of(context), task.is_dry_run()
    try:
        leaf = (store.plan_leaf if dry_run else store.ensure_leaf)("ovn", names, datetime.now(UTC))
    except UsageError as error:
        raise StepError(task.host.name, "issue certificate", str(error)) from None
    if not isinstance(leaf, Leaf):
        planned = Step("issue certificate", Status.WOULD_CHANGE, message=f"{leaf.what}: {leaf.reason}")
        return StepsResult(task.host, (planned,))
    issued = Step("issue certificate", Status.CHANGED if leaf.changed else Status.OK, message=leaf.reason or "")
    return StepsResult(task.host, (issued,)) + run_script(
        task,
        "linux/distribute_certificates.sh.j2",
        authority_path=AUTHORITY,
        authority=leaf.ca_pem,
        certificate_path=CERTIFICATE,
        certificate=leaf.certificate_pem,
        key_path=KEY,
        key=leaf.key_pem.reveal(),
    )
