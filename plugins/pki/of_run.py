"""The certificate store of a run's cluster: one for all its threads."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from plugins.context import RunContext
from plugins.pki.store import Store
from plugins.secret import SecretSource


def store_of(context: RunContext) -> Store:
    """Give the store in the cluster's state folder; raises UsageError when its passphrase cannot be had."""
    return _store(context.state_folder / "pki", context.cluster.name, context.settings.authority_passphrase)


@cache
def _store(folder: Path, cluster: str, passphrase: SecretSource | None) -> Store:
    return Store(folder, cluster, passphrase.read() if passphrase else None)
