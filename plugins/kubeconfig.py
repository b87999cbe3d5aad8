"""The operator's own kubeconfig: one file with certificate and key in it, as kubectl takes it."""

from __future__ import annotations

import base64
from datetime import datetime

import yaml

from plugins.context import RunContext
from plugins.pki.of_run import store_of
from plugins.pki.profiles import Names
from plugins.pki.records import Leaf
from plugins.secret import Secret


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


def _data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
