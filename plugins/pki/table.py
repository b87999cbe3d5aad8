"""The table of certificates: which authority, which leaf for which role, with what names, for how long.

Rows are data: another authority or leaf is another row, and no code changes. Subjects and names are what the
components look for: https://kubernetes.io/docs/setup/best-practices/certificates/ for Kubernetes' own.
"""

from __future__ import annotations

from collections.abc import Iterable

from plugins.inventory.model import Role
from plugins.pki.profiles import AuthorityProfile, LeafProfile, Usage

OVN, KUBERNETES, ETCD, FRONT_PROXY = "ovn", "kubernetes", "etcd", "front-proxy"
AUTHORITIES = (
    AuthorityProfile(OVN, "OVN CA of {cluster}"),
    AuthorityProfile(KUBERNETES, "Kubernetes CA of {cluster}"),
    AuthorityProfile(ETCD, "etcd CA of {cluster}"),
    # Whoever has a certificate of this one may speak for others to extension API servers, so it signs nothing else.
    AuthorityProfile(FRONT_PROXY, "front proxy CA of {cluster}"),
)
ADMINISTRATORS = "ovn-runbooks:administrators"
"""Group that a manifest of ours binds to cluster-admin: unlike system:masters, it can be taken away again."""

_BOTH, _SERVER, _CLIENT = frozenset(Usage), frozenset({Usage.SERVER}), frozenset({Usage.CLIENT})
_MASTER, _WINDOWS = frozenset({Role.MASTER}), frozenset({Role.WINDOWS})
_LINUX = frozenset({Role.MASTER, Role.LINUX})
_LOOPBACK = "127.0.0.1"


def _client(name: str, roles: frozenset[Role], common_name: str, organization: str = "") -> LeafProfile:
    return LeafProfile(name, KUBERNETES, roles, common_name, _CLIENT, organization=organization)


def _serves_loopback(name: str, common_name: str) -> LeafProfile:
    return LeafProfile(name, KUBERNETES, _MASTER, common_name, _BOTH, dns=("localhost",), addresses=(_LOOPBACK,))


LEAVES = (
    # One pair does both jobs on the master (it serves the databases and its own chassis is their
    # client), so every host gets the same kind. ovnkube checks the server by a DNS name among the
    # subject alternative names, never by address or common name: a host name must be among them.
    LeafProfile(OVN, OVN, _LINUX, "{host}", _BOTH, dns=("{host}", "{host}.{domain}"), addresses=("{address}",)),
    LeafProfile(
        "etcd", ETCD, _MASTER, "{host}", _BOTH, dns=("{host}", "localhost"), addresses=("{address}", _LOOPBACK)
    ),
    LeafProfile("etcd-client", ETCD, _MASTER, "kube-apiserver", _CLIENT),
    LeafProfile(
        "apiserver",
        KUBERNETES,
        _MASTER,
        "kube-apiserver",
        _SERVER,
        dns=(
            *("{host}", "{host}.{domain}", "localhost", "kubernetes", "kubernetes.default"),
            *("kubernetes.default.svc", "kubernetes.default.svc.{domain}"),
        ),
        addresses=("{address}", "{service_address}", _LOOPBACK),
    ),
    LeafProfile("front-proxy-client", FRONT_PROXY, _MASTER, "front-proxy-client", _CLIENT),
    _client("apiserver-kubelet-client", _MASTER, "kube-apiserver-kubelet-client"),
    # These two serve their health and metrics on the loopback only.
    _serves_loopback("controller-manager", "system:kube-controller-manager"),
    _serves_loopback("scheduler", "system:kube-scheduler"),
    # For the runbooks on the master itself, which make the first binding of all.
    _client("superuser", _MASTER, "ovn-runbooks", "system:masters"),
    # Goes to no host: it is what the operator's kubeconfig holds.
    _client("administrator", frozenset(), "administrator", ADMINISTRATORS),
    _client("kubelet", frozenset(Role), "system:node:{host}", "system:nodes"),
    LeafProfile(
        "kubelet-server", KUBERNETES, frozenset(Role), "{host}", _SERVER, dns=("{host}",), addresses=("{address}",)
    ),
    _client("kube-proxy", _WINDOWS, "system:kube-proxy"),
    _client("ovn-node", _WINDOWS, "system:ovn-node:{host}", "system:ovn-nodes"),
)


def leaves_for(role: Role, leaves: Iterable[LeafProfile] = LEAVES) -> tuple[LeafProfile, ...]:
    """Say which rows a host of this role needs, in table order."""
    return tuple(row for row in leaves if role in row.roles)
