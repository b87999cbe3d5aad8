"""Where a cluster's parts are: files on hosts, addresses, names of services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address

from nornir.core.inventory import Inventory
from nornir.core.task import Task

from plugins import overlay
from plugins.context import RunContext, context_of
from plugins.inventory import host_settings
from plugins.inventory.model import ClusterSettings, Role
from plugins.overlay import master_address
from plugins.pki.profiles import LeafProfile, Names
from plugins.pki.table import AUTHORITIES, OVN, leaves_for

TLS = "/etc/kubernetes/tls"
CA = f"{TLS}/ca.pem"
SUPERUSER_CONFIG = "/etc/kubernetes/superuser.kubeconfig"
"""On the master, for root: what the runbooks make the first objects with."""
KUBELET_CONFIG = "/etc/kubernetes/kubelet.kubeconfig"
"""On every node: who the node itself is."""
OVN_NAMESPACE = "ovn-kubernetes"
MASTER_ACCOUNT, NODE_ACCOUNT = "ovnkube-master", "ovnkube-node"
"""Service accounts of ovnkube on the master and on workers, in OVN_NAMESPACE."""
ENCRYPTION_CONFIG = "/etc/kubernetes/encryption.yaml"
SERVICE_ACCOUNT_KEY, ENCRYPTION_KEY = "service-account", "encryption"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
PODS_MTU = 1400
DNS = ("kube-system", "coredns")
"""Namespace and name of the deployment that answers for the cluster's names."""
PROBE_NAMESPACE = "ovn-runbooks-probe"
"""Where the pods of `verify --traffic` are while it runs."""
ROLE_LABELS = {
    Role.MASTER: "node-role.kubernetes.io/control-plane=",
    Role.LINUX: "node-role.kubernetes.io/worker=",
    Role.WINDOWS: "node-role.kubernetes.io/windows-worker=",
}
MASTER_TAINT = "node-role.kubernetes.io/control-plane:NoSchedule"
"""What keeps ordinary pods off the master."""


@dataclass(frozen=True)
class Placement:
    """Where a pair lies on a host, and who owns it."""

    certificate: str
    key: str
    owner: str = "root:root"


def placement(leaf: str) -> Placement:
    """Say where the pair of one row of the table goes."""
    if leaf == "ovn":
        return Placement(overlay.CERTIFICATE, overlay.KEY)
    return Placement(f"{TLS}/{leaf}.pem", f"{TLS}/{leaf}-key.pem", "etcd:etcd" if leaf == "etcd" else "root:root")


def authority_file(authority: str) -> str:
    """Say where an authority's certificate goes."""
    if authority == "ovn":
        return overlay.AUTHORITY
    return CA if authority == "kubernetes" else f"{TLS}/{authority}-ca.pem"


def public_key_file(key: str) -> str:
    """Say where the public half of a key without a certificate lies on the master."""
    return f"{TLS}/{key}.pub"


def api_address(cluster: ClusterSettings) -> IPv4Address:
    """Give the service address of the API: the first one of the service network."""
    return cluster.service_network.network_address + 1


def api_name(cluster: ClusterSettings) -> str:
    """Give the name of the API's service in the cluster's DNS."""
    return f"kubernetes.default.svc.{cluster.dns_domain}"


def api_url(task: Task) -> str:
    """Give the URL of the API on the master."""
    return f"https://{master_address(task)}:{context_of(task).cluster.api_port}"


def master_name(task: Task) -> str:
    """Name the master, as it stands in the inventory and in its certificates."""
    return node_hosts(task, (Role.MASTER,))[0]


def node_services(role: Role) -> tuple[str, ...]:
    """Name the services that Kubernetes needs on a Linux host."""
    everywhere = ("containerd", "kubelet", "ovnkube")
    return ("etcd", *CONTROL_PLANE, *everywhere) if role is Role.MASTER else everywhere


def node_hosts(task: Task, roles: Iterable[Role] = (Role.MASTER, Role.LINUX)) -> tuple[str, ...]:
    """Name the inventory's hosts of these roles."""
    wanted = set(roles)
    return tuple(name for name, role in _roles(task.nornir.inventory).items() if role in wanted)


@lru_cache(maxsize=1)
def _roles(inventory: Inventory) -> dict[str, Role]:
    """Give a run's hosts with their roles, which each of them asks for."""
    return {name: host_settings(host).role for name, host in inventory.hosts.items()}


def has_windows(task: Task) -> bool:
    """Whether the inventory has a Windows host, so that the overlay reaches out to it."""
    return bool(node_hosts(task, (Role.WINDOWS,)))


def authorities_of(context: RunContext) -> tuple[str, ...]:
    """Name the cluster's authorities; an overlay alone needs OVN's."""
    return tuple(row.name for row in AUTHORITIES if context.cluster.kubernetes or row.name == OVN)


def rows_of(context: RunContext, role: Role) -> tuple[LeafProfile, ...]:
    """Give the certificates of a host of this role; an overlay alone needs OVN's."""
    return tuple(row for row in leaves_for(role) if context.cluster.kubernetes or row.name == OVN)


def names_of(task: Task) -> Names:
    """Give the names that the certificates of the task's host are filled with."""
    cluster = context_of(task).cluster
    address = host_settings(task.host).address
    return Names(cluster.name, task.host.name, cluster.dns_domain, (address,), (api_address(cluster),))
