"""What is where on a Windows node: folders, ports, services and features that tasks and checks agree on."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from plugins.inventory.model import ClusterSettings, HostSettings
from plugins.kubernetes import Placement

FOLDER = r"C:\k"
PKI = rf"{FOLDER}\pki"
CA = rf"{PKI}\ca.pem"
DOWNLOADS = rf"{FOLDER}\downloads"
CONTAINERD_FOLDER = rf"{FOLDER}\containerd"
CNI_FOLDER = rf"{FOLDER}\cni"
LOGS = r"C:\var\log"
RESTARTS = ("10000", "30000", "60000")
"""Milliseconds until a service that has failed is started again; the last goes on."""
CONTAINERS = "Containers"

KUBELET, KUBE_PROXY, HYBRID_OVERLAY, CONTAINERD = "kubelet", "kube-proxy", "hybrid-overlay-node", "containerd"

HEALTH = {KUBELET: "http://127.0.0.1:10248/healthz", KUBE_PROXY: "http://127.0.0.1:10256/healthz"}
"""Where services tell how they are."""

OVERLAY = "OVNKubernetesHybridOverlayNetwork"
"""The network that hybrid-overlay-node makes; the CNI configuration has to have the same name."""
SOURCE_VIP = "VIPEndpoint"
"""The endpoint of HNS by which the host itself is in that network: services answer through its address."""
BOOT_TASK, BOOT_SCRIPT = "ovn-runbooks-boot", rf"{FOLDER}\boot.ps1"
BOOT_LOGS = rf"{LOGS}\boot"
BOOT_PROGRAM = r"C:\Windows\System32\cmd.exe"
BOOT_WORDS = (
    "/c powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass"
    rf" -File {BOOT_SCRIPT} > {BOOT_LOGS}\boot.log 2>&1"
)
"""What SYSTEM runs at every boot: a reboot takes the source VIP away."""
PROXY_CONFIG = rf"{FOLDER}\kube-proxy.yaml"
ANNOTATED_SUBNET = "k8s.ovn.org/hybrid-overlay-node-subnet"
"""On the node: the subnet of its pods, written by the master's ovnkube."""
ANNOTATED_MAC = "k8s.ovn.org/hybrid-overlay-distributed-router-gateway-mac"
"""On the node: where the others' tunnels send to, written by its hybrid-overlay-node."""
CNI_CONFIG = rf"{CNI_FOLDER}\config\cni.conf"
FOREIGN_RUNTIMES = ("docker",)
# Kind and what, of Defender's exclusions.
EXCLUDED = (
    ("process", rf"{FOLDER}\containerd\containerd.exe"),
    ("process", rf"{FOLDER}\containerd\containerd-shim-runhcs-v1.exe"),
    ("path", r"C:\ProgramData\containerd"),
)


def pair(leaf: str) -> Placement:
    """Say where the certificate and the key of one row of the table go."""
    return Placement(rf"{PKI}\{leaf}.pem", rf"{PKI}\{leaf}-key.pem", "")


def source_vip(subnet: str) -> IPv4Address:
    """Give the source VIP in a node's subnet: the first address after the gateway's, which no pod gets.

    One that HNS picks could be a pod's already, as the CNI plugin does not ask HNS, and would be another after a boot.
    """
    return IPv4Network(subnet)[2]


def served(cluster: ClusterSettings) -> dict[str, str]:
    """Name the ports that a node serves, and the service whose each is."""
    return {"tcp 10250": KUBELET, "tcp 10256": KUBE_PROXY, f"udp {cluster.vxlan_port}": HYBRID_OVERLAY}


def kubelet_port(settings: HostSettings) -> str:
    """Give the port that the API asks a host's kubelet at, as the verb `probe` takes it."""
    return f"tcp:{settings.address}:10250"


def let_in(cluster: ClusterSettings) -> tuple[tuple[str, str, str], ...]:
    """Give name, protocol and port of what the firewall lets in; 10256 is kube-proxy's health."""
    return (
        ("ovn-runbooks-kubelet", "TCP", "10250"),
        ("ovn-runbooks-kube-proxy-health", "TCP", "10256"),
        ("ovn-runbooks-vxlan", "UDP", str(cluster.vxlan_port)),
        ("ovn-runbooks-node-ports-tcp", "TCP", "30000-32767"),
        ("ovn-runbooks-node-ports-udp", "UDP", "30000-32767"),
    )
