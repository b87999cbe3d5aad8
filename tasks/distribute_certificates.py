"""A host's own keys and certificates, and the authorities' certificates; never an authority's key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nornir.core.task import Task

from plugins.context import context_of
from plugins.errors import StepError, UsageError
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.kubernetes import (
    ENCRYPTION_CONFIG,
    ENCRYPTION_KEY,
    SERVICE_ACCOUNT_KEY,
    authority_file,
    names_of,
    placement,
    public_key_file,
    rows_of,
)
from plugins.pki.table import KUBERNETES
from plugins.steps import Status, Step, StepsResult
from plugins.windows import CA, FOLDER, PKI, pair
from tasks.run_script import run_script


def distribute_certificates(task: Task) -> StepsResult:
    """Put the host's pairs in place where they differ; issue anew those that there is a reason for."""
    from plugins.pki.of_run import store_of  # noqa: PLC0415  # X.509 is slow to import
    from plugins.pki.records import Leaf  # noqa: PLC0415  # X.509 is slow to import

    context, role = context_of(task), host_settings(task.host).role
    store, names, now = store_of(context), names_of(task), datetime.now(UTC)
    issue = store.plan_leaf if task.is_dry_run() else store.ensure_leaf
    rows = rows_of(context, role)
    if not rows:
        return StepsResult(task.host, ())  # a Windows host where the cluster is an overlay alone
    try:
        found = [(row, issue(row.name, names, now)) for row in rows]
        keys = _keys(task) if context.cluster.kubernetes and role is Role.MASTER else {}
    except UsageError as error:
        raise StepError(task.host.name, "issue certificates", str(error)) from None
    made = [(row, leaf) for row, leaf in found if isinstance(leaf, Leaf)]
    steps = [
        Step(
            f"issue {row.name} certificate",
            (Status.CHANGED if leaf.changed else Status.OK) if isinstance(leaf, Leaf) else Status.WOULD_CHANGE,
            message=(leaf.reason or "") if isinstance(leaf, Leaf) else f"{leaf.what}: {leaf.reason}",
        )
        for row, leaf in found
    ]
    issued = StepsResult(task.host, tuple(steps))
    if len(made) < len(found):
        return issued  # a dry run: there is nothing to put in place yet
    if role is Role.WINDOWS:
        return issued + run_script(
            task,
            "windows/distribute_certificates.ps1.j2",
            above=FOLDER,
            folder=PKI,
            authority_path=CA,
            authority=next(leaf.ca_pem for row, leaf in made if row.authority == KUBERNETES),
            pairs=[(pair(row.name), leaf.certificate_pem, leaf.key_pem) for row, leaf in made],
        )
    return issued + run_script(
        task,
        "linux/distribute_certificates.sh.j2",
        authorities={authority_file(row.authority): leaf.ca_pem for row, leaf in made},
        pairs=[(placement(row.name), leaf.certificate_pem, leaf.key_pem.reveal()) for row, leaf in made],
        keys=keys,
        encryption_config=ENCRYPTION_CONFIG,
    )


def _keys(task: Task) -> dict[str, Any]:
    """Give the master's two keys without a certificate, ready for its template; the authority's stage makes them."""
    from plugins.pki.of_run import store_of  # noqa: PLC0415  # X.509 is slow to import
    from plugins.pki.records import HeldKey  # noqa: PLC0415  # X.509 is slow to import

    store, held = store_of(context_of(task)), {}
    for name in (SERVICE_ACCOUNT_KEY, ENCRYPTION_KEY):
        key = store.plan_key(name, master=None)
        if not isinstance(key, HeldKey):
            if task.is_dry_run():
                return {}
            raise UsageError(f"there is no {name} key yet: run `python -m runbooks.task authority` first")
        held[name] = key
    signing, encryption = held[SERVICE_ACCOUNT_KEY], held[ENCRYPTION_KEY]
    return {
        "signing": (placement(SERVICE_ACCOUNT_KEY).key, signing.private_pem.reveal()),
        "public": [
            (public_key_file(SERVICE_ACCOUNT_KEY), signing.public_pem),
            (public_key_file(ENCRYPTION_KEY), encryption.public_pem),
        ],
        "encryption": encryption.derived.reveal(),
    }
