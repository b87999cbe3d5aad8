"""Simulated Windows hosts as nodes: kubelets that register at the master's API."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import yaml

from plugins.simulate.api import NoAnswerError, Object, ask, key_of
from plugins.simulate.windows.state import where
from plugins.windows import CNI_CONFIG

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

KUBELET = r"C:\k\kubelet.exe"
_VERSION = re.compile(r"/(v[0-9][0-9.]*)/")
_OPTION = re.compile(r"--([a-z0-9-]+)=(\S+)")
_PROGRAM = re.compile(r"[A-Z]:\\k\\\S+\.exe", re.IGNORECASE)


def missing_program(host: SimulatedHost, command: str) -> str:
    """Name the downloaded program of a service's command line that is not there; empty where all are."""
    found = _PROGRAM.findall(command)
    return next((program for program in found if host.state.files.at(where(program)) is None), "")


def options_of(host: SimulatedHost, service: str) -> dict[str, str] | None:
    """Give the options of a service's command line; None where it does not run."""
    found = host.state.windows_part.services.get(service)
    return read_options(found.command) if found is not None and found.state == "Running" else None


def read_options(command: str) -> dict[str, str]:
    """Give the options of a command line, as `--NAME=VALUE`."""
    return dict(_OPTION.findall(command))


def register_nodes(someone: SimulatedHost) -> None:
    """Let the kubelets of all Windows hosts do their work: their nodes are in the API, if that answers them."""
    for host in someone.world.hosts.values():
        if host.state.windows is not None:
            _register(host)


def _register(host: SimulatedHost) -> None:
    options = options_of(host, "kubelet")
    if options is None or options_of(host, "containerd") is None:
        return
    try:
        master = ask(host, options["kubeconfig"])
    except NoAnswerError:
        return
    name, config = options["hostname-override"], yaml.safe_load(host.state.files.text(where(options["config"])) or "{}")
    node: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "windows"}},
        "spec": {"taints": config.get("registerWithTaints", [])},
        "status": {
            "addresses": [{"type": "InternalIP", "address": options["node-ip"]}],
            "nodeInfo": {"kubeletVersion": kubelet_version(host)},
        },
    }
    master.state.objects.setdefault(key_of("Node", name), node)


def kubelet_version(host: SimulatedHost) -> str:
    """Give the kubelet's version, which stands in the address that it was downloaded from."""
    found = _VERSION.search(host.state.files.text(where(KUBELET)) or "")
    return found[1] if found else ""


def why_not_ready(host: SimulatedHost) -> str:
    """Say what the API would hear of a Windows host's kubelet; empty where it is ready."""
    if options_of(host, "kubelet") is None:
        return "Unknown NodeStatusUnknown: Kubelet stopped posting node status."
    network = json.loads(host.state.files.text(where(CNI_CONFIG)) or "{}").get("name", "")
    if host.state.windows_part.networks.get(network) is None:
        return "False KubeletNotReady: container runtime network not ready: cni config uninitialized"
    return ""
