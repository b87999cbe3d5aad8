"""What is where on a Windows node: folders, ports, services and features that tasks and checks agree on."""

from __future__ import annotations

FOLDER = r"C:\k"
CONTAINERS = "Containers"

KUBELET, KUBE_PROXY, HYBRID_OVERLAY, CONTAINERD = "kubelet", "kube-proxy", "hybrid-overlay-node", "containerd"
FOREIGN_RUNTIMES = ("docker",)
# Kind and what, of Defender's exclusions.
EXCLUDED = (
    ("process", rf"{FOLDER}\containerd\containerd.exe"),
    ("process", rf"{FOLDER}\containerd\containerd-shim-runhcs-v1.exe"),
    ("path", r"C:\ProgramData\containerd"),
)
VXLAN_PORT = 4789  # UDP; IANA's, RFC 7348
# What a node serves, and the service whose it is.
SERVED = {
    "tcp 10250": KUBELET,
    "tcp 10256": KUBE_PROXY,  # health
    f"udp {VXLAN_PORT}": HYBRID_OVERLAY,
}
# Name, protocol and port of what the firewall lets in.
FIREWALL = (
    ("ovn-runbooks-kubelet", "TCP", "10250"),
    ("ovn-runbooks-kube-proxy-health", "TCP", "10256"),
    ("ovn-runbooks-vxlan", "UDP", str(VXLAN_PORT)),
    ("ovn-runbooks-node-ports-tcp", "TCP", "30000-32767"),
    ("ovn-runbooks-node-ports-udp", "UDP", "30000-32767"),
)
