"""A kubelet that runs no pods: it registers its node, keeps it up to date, and answers the API server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from plugins.lab.windows.agent import Agent
from plugins.lab.windows.api import Api, ApiError
from plugins.lab.windows.given import GivenError, authority, document, identity, options, pair
from plugins.lab.windows.health import serve_health
from plugins.simulate.host import SimulatedHost
from plugins.simulate.windows.nodes import kubelet_version
from plugins.simulate.windows.state import where
from plugins.windows import CNI_CONFIG, CNI_FOLDER, CONTAINERD, KUBELET

NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LOOK_SECONDS, BEAT_SECONDS = 0.5, 10.0
LEASE_SECONDS = 40
ROOM = {"cpu": "4", "memory": "8387584Ki", "pods": "110", "ephemeral-storage": "62914560Ki"}
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")


class Kubelet(Agent):
    """The service kubelet."""

    def __init__(self, host: SimulatedHost) -> None:
        given = options(host, KUBELET, "config", "kubeconfig", "hostname-override", "node-ip")
        config = document(host, given["config"], "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration")
        if config.get("cgroupsPerQOS", True) or config.get("enforceNodeAllocatable", ["pods"]) not in ([], ["none"]):
            raise GivenError("invalid configuration: cgroupsPerQOS and enforceNodeAllocatable are not for Windows")
        who = config.get("authentication", {})
        if who.get("anonymous", {}).get("enabled", True):
            raise GivenError("authentication.anonymous: everybody would be let in")
        self._clients = authority(host, who.get("x509", {}).get("clientCAFile", ""))
        self._served = pair(host, config.get("tlsCertFile", ""), config.get("tlsPrivateKeyFile", ""))
        self._taints = config.get("registerWithTaints", [])
        self._name, self._address = given["hostname-override"], given["node-ip"]
        super().__init__(host, identity(host, given["kubeconfig"]))
        self._posted, self._since = "", _now()

    async def serve(self, api: Api) -> None:
        """Post the node's state when it changes, and at each beat."""
        beat = 0.0
        async with serve_health(self._address, self._served, self._clients):
            while True:
                lacks = why_not_ready(self.host)
                if lacks != self._posted or monotonic() - beat >= BEAT_SECONDS or self.why:
                    try:
                        await self._post(api, lacks)
                        beat, self.why = monotonic(), ""
                    except ApiError as error:
                        self.why = str(error)
                await asyncio.sleep(LOOK_SECONDS)

    async def _post(self, api: Api, lacks: str) -> None:
        """Register the node where the API does not know it, and tell how it is."""
        if lacks != self._posted:
            self._posted, self._since = lacks, _now()
        place = f"{NODES}/{self._name}"
        if (found := await _unless_missing(api, place)) is None:
            await api.ask("POST", NODES, self._node())
        elif self._labels().items() - found["metadata"].get("labels", {}).items():
            await api.ask("PATCH", place, {"metadata": {"labels": self._labels()}})
        await api.ask("PATCH", f"{place}/status", {"status": self._status(lacks)})
        await self._renew(api)

    async def _renew(self, api: Api) -> None:
        """Renew the lease by which the node controller sees that the kubelet lives."""
        lease = await _unless_missing(api, f"{LEASES}/{self._name}")
        spec = {"holderIdentity": self._name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": _now(micro=True)}
        if lease is None:
            head = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self._name}}
            await api.ask("POST", LEASES, {**head, "spec": spec})
        else:
            await api.ask("PUT", f"{LEASES}/{self._name}", {**lease, "spec": {**lease.get("spec", {}), **spec}})

    def _labels(self) -> dict[str, str]:
        system = {"kubernetes.io/os": "windows", "kubernetes.io/arch": "amd64"}
        build = f"10.0.{self.host.state.windows_part.build.partition('.')[0]}"
        return {"kubernetes.io/hostname": self._name, **system, "node.kubernetes.io/windows-build": build}

    def _node(self) -> dict[str, Any]:
        metadata = {"name": self._name, "labels": self._labels()}
        return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": self._taints}}

    def _status(self, lacks: str) -> dict[str, Any]:
        state = self.host.state
        ready = ("False", "KubeletNotReady", lacks) if lacks else ("True", "KubeletReady", "kubelet posts ready status")
        told = {"Ready": ready} | dict.fromkeys(PRESSURES, ("False", "KubeletHasSufficient", "simulated"))
        version = kubelet_version(self.host)
        return {
            "addresses": [
                {"type": "InternalIP", "address": self._address},
                {"type": "Hostname", "address": self._name},
            ],
            "capacity": ROOM,
            "allocatable": ROOM,
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "reason": reason,
                    "message": message,
                    "lastHeartbeatTime": _now(),
                    "lastTransitionTime": self._since,
                }
                for kind, (status, reason, message) in told.items()
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "machineID": state.machine_id,
                "systemUUID": state.machine_id,
                "bootID": state.boot_id,
                "kernelVersion": f"10.0.{state.windows_part.build}",
                "osImage": "simulated: no Windows runs here",
                "containerRuntimeVersion": "containerd://simulated",
                "kubeletVersion": version,
                "kubeProxyVersion": version,
                "operatingSystem": "windows",
                "architecture": "amd64",
            },
        }


def why_not_ready(host: SimulatedHost) -> str:
    """Say why pods could not run on the host; empty where they could."""
    containerd = host.state.windows_part.services.get(CONTAINERD)
    if containerd is None or containerd.state != "Running":
        return "container runtime is down"
    with contextlib.suppress(ValueError, AttributeError):
        config = json.loads(host.state.files.text(where(CNI_CONFIG)) or "{}")
        program = rf"{CNI_FOLDER}\{config.get('type')}.exe"
        if config.get("name") and host.state.files.text(where(program)):
            return ""
    return "container runtime network not ready: cni plugin not initialized"


async def _unless_missing(api: Api, path: str) -> dict[str, Any] | None:
    try:
        return await api.ask("GET", path)
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def _now(*, micro: bool = False) -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}{f'.{datetime.now(UTC):%f}' if micro else ''}Z"
