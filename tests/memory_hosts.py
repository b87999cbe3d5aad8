"""Nornir on simulated hosts of this process, for tests that run single tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from nornir.core import Nornir

from plugins.context import RunContext, attach
from plugins.releases import load_release
from plugins.settings import ROOT, init, load_settings

CLUSTER = {
    "name": "memory",
    "pod_network": "10.244.0.0/16",
    "service_network": "10.100.0.0/16",
    "dns_address": "10.100.0.10",
}


def nornir_on(folder: Path, state: Path, roles: Mapping[str, str], **settings: object) -> Nornir:
    """Write an inventory of hosts with these roles, from 10.142.0.2 on, and load it with a run's context.

    `state` is the state folder; `settings` are other keys of config.yaml.
    """
    hybrid = {"hybrid_network": "10.132.0.0/16"} if "windows" in roles.values() else {}
    texts = {
        "hosts": {
            name: {"hostname": f"10.142.0.{number}", "groups": [role]}
            for number, (name, role) in enumerate(roles.items(), 2)
        },
        "groups": {role: {} for role in roles.values()},
        "defaults": {"data": {"transport": "memory", "cluster": CLUSTER | hybrid}},
    }
    folder.mkdir(exist_ok=True)
    for name, content in texts.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    loaded = load_settings(ROOT / "config.yaml").model_copy(update={"state_folder": state, **settings})
    nornir = init(folder, loaded)
    attach(nornir, RunContext(loaded, nornir.inventory.defaults.data["cluster"], load_release("current", folder)))
    return nornir
