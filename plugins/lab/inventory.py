"""The inventory that the runbooks use for a lab."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from plugins.lab.host import write_private
from plugins.lab.network import Network
from plugins.lab.options import ADMINISTRATOR, USER, WINDOWS, LabHost, LabPaths

FILES = ("hosts.yaml", "groups.yaml", "defaults.yaml")
HYBRID_NETWORK = "10.245.0.0/16"
MADE_UP_MIRROR = "http://mirror.simulated"
"""Where Windows hosts would download from: they download nothing, and note what they would have."""
HEADER = "# Written by `python -m runbooks.lab up`; `down` takes it away.\n"


def inventory_files(
    hosts: Sequence[LabHost],
    network: Network,
    paths: LabPaths,
    machine: Mapping[str, object],
    *,
    sudo_password: bool,
    overlay_only: bool = False,
) -> dict[str, Mapping[str, object]]:
    """Content of the three files. `machine`: what must be said because of the machine that the hosts run on."""
    ssh: dict[str, object] = {
        "key_file": str(paths.key_file),
        "known_hosts": str(paths.known_hosts),
        "host_keys": "strict",
        "agent": False,
    }
    cluster: dict[str, object] = {
        "name": "lab",
        "pod_network": "10.244.0.0/16",
        "service_network": "10.100.0.0/16",
        "host_network": str(network.subnet),
        "dns_address": "10.100.0.10",
        "dns_domain": "cluster.local",
    }
    if overlay_only:
        cluster["kubernetes"] = False
    data: dict[str, object] = {"cluster": cluster, **machine, "ssh": ssh}
    if sudo_password:
        data["sudo"] = {"password": {"file": str(paths.sudo_password)}}
    windows: dict[str, object] = {}
    if any(host.windows for host in hosts):
        cluster["hybrid_network"] = HYBRID_NETWORK
        password = {"file": str(paths.windows_password)}
        windows = {
            "username": ADMINISTRATOR,
            "data": {"mirror": MADE_UP_MIRROR, "winrm": {"password": password, "ca_file": str(paths.windows_ca)}},
        }
    return {
        "hosts.yaml": {
            host.name: {
                "hostname": str(host.address),
                "groups": [host.role],
                "data": {"address": str(host.address)},
            }
            for host in hosts
        },
        "groups.yaml": {role: windows if role == WINDOWS else {} for role in sorted({host.role for host in hosts})},
        "defaults.yaml": {"username": USER, "data": data},
    }


def write_inventory(folder: Path, files: Mapping[str, Mapping[str, object]]) -> None:
    """Write the three files, each whole or not at all."""
    for name, content in files.items():
        write_private(folder / name, HEADER + yaml.safe_dump(content, sort_keys=False), 0o644)


def remove_inventory(folder: Path) -> None:
    """Delete the three files if they are ours, the lab's pins with them, and the folder when nothing else is in it."""
    for name in FILES:
        file = folder / name
        if file.exists() and file.read_text().startswith(HEADER):
            file.unlink()
    if not any((folder / name).exists() for name in FILES):
        for pins in folder.glob("releases/*.lock.yaml"):
            pins.unlink()
    for each in (folder / "releases", folder):
        with contextlib.suppress(OSError):
            each.rmdir()
