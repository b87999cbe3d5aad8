"""Stand-in for the kubelet: registers its node and calls it ready when there is a network for pods. It runs none."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from standin import certificates, documents, flags
from standin.client import ApiError, Client
from standin.kinds import of_word
from standin.names import announced, serve_names
from standin.refusal import Refusal
from standin.serve import Health, KubeletApi, serve, tls

KIND = "kubelet.config.k8s.io/v1beta1/KubeletConfiguration"
NETWORKS = Path("/etc/cni/net.d")
PLUGINS = Path("/opt/cni/bin")
BOOT = Path("/proc/sys/kernel/random/boot_id")
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")


def check(words: Sequence[str]) -> tuple[dict[str, str], dict[str, Any], dict[str, str]]:
    """Flags, configuration and kubeconfig. Raises Refusal."""
    found = flags.parse("kubelet", words, ("config", "kubeconfig", "hostname-override", "node-ip"))
    config = documents.load(found["config"], KIND)
    authority = str(certificates.readable(config.get("authentication", {}).get("x509", {}).get("clientCAFile", "")))
    if config.get("authentication", {}).get("anonymous", {}).get("enabled", True):
        raise Refusal(f"{found['config']}: anonymous requests are let in")
    if config.get("authorization", {}).get("mode") != "Webhook":
        raise Refusal(f"{found['config']}: authorization.mode is not Webhook")
    name, address = found["hostname-override"], found["node-ip"]
    pair = config.get("tlsCertFile", ""), config.get("tlsPrivateKeyFile", "")
    certificates.check_server(*pair, authority, {name, address})
    kubeconfig = documents.load_kubeconfig(found["kubeconfig"])
    client = kubeconfig.get("client-certificate", ""), kubeconfig.get("client-key", "")
    certificates.check_client(*client, authority, f"system:node:{name}", ["system:nodes"])
    if "resolvConf" in config:
        certificates.readable(config["resolvConf"])
    if not (Path("/sys/fs/cgroup/cgroup.controllers").exists() or config.get("failCgroupV1") is False):
        raise Refusal("kubelet is configured to not run on a host using cgroup v1")
    return found, config, kubeconfig


def check_runtime(endpoint: str) -> None:
    """Raise Refusal unless somebody listens at the container runtime's socket."""
    if not endpoint.startswith("unix:///"):
        raise Refusal(f"containerRuntimeEndpoint {endpoint!r} is no unix:///PATH")
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(endpoint.removeprefix("unix://"))
        except OSError as error:
            raise Refusal(f"container runtime at {endpoint}: {error.strerror}") from None


def network(networks: Path = NETWORKS, plugins: Path = PLUGINS) -> str:
    """What pods' network lacks; an empty text when it is there."""
    files = sorted(file for file in networks.glob("*") if file.suffix in (".conf", ".conflist", ".json"))
    if not files:
        return "cni plugin not initialized"
    try:
        content = json.loads(files[0].read_text())
        kinds = [each["type"] for each in content.get("plugins", [content])]
    except (ValueError, KeyError, AttributeError) as error:
        return f"{files[0]}: {error!r}"
    missing = [kind for kind in kinds if not (plugins / kind).is_file() or not (plugins / kind).stat().st_mode & 0o100]
    return f"{files[0]}: no plugin {missing[0]} in {plugins}" if missing else ""


def images() -> list[str]:
    """Names of the images that containerd has for pods."""
    command = ["ctr", "--namespace=k8s.io", "images", "list", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return [name for name in done.stdout.split() if not name.startswith("sha256:")]


def node(
    found: dict[str, str], config: dict[str, Any], version: str, lacks: str, held: Sequence[str]
) -> dict[str, Any]:
    """The node's object; `held` are the images that it has."""
    name, address = found["hostname-override"], found["node-ip"]
    why = f"container runtime network not ready: {lacks}" if lacks else "kubelet is posting ready status"
    ready = {"type": "Ready", "status": "False" if lacks else "True", "message": why}
    ready["reason"] = "KubeletNotReady" if lacks else "KubeletReady"
    well = [{"type": name, "status": "False", "reason": "KubeletHasSufficient"} for name in PRESSURES]
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    for each in filter(None, found.get("node-labels", "").split(",")):
        labels[each.partition("=")[0]] = each.partition("=")[2]
    taints = config.get("registerWithTaints")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        **({"spec": {"taints": taints}} if taints else {}),
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "conditions": [*well, ready],
            "images": [{"names": [name]} for name in held],
            "nodeInfo": {
                "bootID": BOOT.read_text().strip(),
                "kubeletVersion": version,
                "operatingSystem": "linux",
                "osImage": "stand-in",
            },
        },
    }


def main(_component: str, version: str, words: Sequence[str]) -> NoReturn:
    """Serve, register and keep the node's state right until stopped."""
    found, config, kubeconfig = check(words)
    check_runtime(config.get("containerRuntimeEndpoint", ""))
    clients = config["authentication"]["x509"]["clientCAFile"]
    serve("0.0.0.0", 10250, KubeletApi, tls(config["tlsCertFile"], config["tlsPrivateKeyFile"], clients))  # noqa: S104
    serve("127.0.0.1", 10248, Health, None, ("/healthz",))
    client, posted = Client(kubeconfig), {}
    place, dns = of_word("node").path("", found["hostname-override"]), [*config.get("clusterDNS", ()), ""][0]
    lacks, held, named = "not looked at yet", list[str](), False
    while True:
        before, lacks = lacks, network()
        if lacks != before:
            held = images()
        wanted = node(found, config, version, lacks, held)
        try:
            if not (lacks or named) and dns and announced(client, dns):
                serve_names(dns, config.get("clusterDomain", ""), client)
                named = True
            if wanted != posted:
                client.ask("PATCH", f"{place}?fieldManager=kubelet", wanted)
                posted = wanted
        except ApiError as error:
            print(error, flush=True)
        time.sleep(0.5)
