"""The operator's own kubeconfig: one file with certificate and key in it, as kubectl takes it."""

from __future__ import annotations

import base64
from datetime import datetime
from pathlib import Path

import yaml
from cryptography import x509

from plugins.context import RunContext
from plugins.errors import UsageError
from plugins.pki.disk import read_private
from plugins.pki.of_run import store_of
from plugins.pki.profiles import Names
from plugins.pki.records import Leaf
from plugins.secret import Secret

AGAIN = "python -m runbooks.task access"


def administrator_config(context: RunContext, names: Names, url: str, now: datetime, *, dry_run: bool) -> Secret | None:
    """Give the kubeconfig of the cluster's administrator, or None in a dry run that would issue its certificate."""
    store = store_of(context)
    leaf = (store.plan_leaf if dry_run else store.ensure_leaf)("administrator", names, now)
    if not isinstance(leaf, Leaf):
        return None
    cluster = context.cluster.name
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": url, "certificate-authority-data": _data(leaf.ca_pem)}}],
        "users": [
            {
                "name": f"{cluster}-administrator",
                "user": {
                    "client-certificate-data": _data(leaf.certificate_pem),
                    "client-key-data": _data(leaf.key_pem.reveal()),
                },
            }
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": f"{cluster}-administrator"}}],
        "current-context": cluster,
    }
    return Secret(yaml.safe_dump(content, sort_keys=False))


def administrator_ends(file: Path) -> datetime | None:
    """Say when the certificate in a kept kubeconfig ends; None where there is no file. Raises UsageError."""
    config = read_private(file)
    if config is None:
        return None
    try:
        data = yaml.safe_load(config)["users"][0]["user"]["client-certificate-data"]
        return x509.load_pem_x509_certificate(base64.b64decode(data)).not_valid_after_utc
    except (yaml.YAMLError, LookupError, TypeError, ValueError):
        raise UsageError(f"{file} holds no certificate: move it away, then {AGAIN}") from None


def _data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
