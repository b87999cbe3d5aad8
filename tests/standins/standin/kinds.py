"""The kinds of objects that the stand-in API keeps, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from standin.refusal import Refusal


@dataclass(frozen=True)
class Kind:
    """One kind: `group` is its apiVersion, `plural` its name in paths."""

    group: str
    name: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str, name: str = "") -> str:
        """Where its objects are, or one of them."""
        place = f"namespaces/{namespace}/{self.plural}" if self.namespaced and namespace else self.plural
        return f"/{'api' if self.group == 'v1' else 'apis'}/{self.group}/{place}{f'/{name}' if name else ''}"


ROLES = "rbac.authorization.k8s.io/v1"
KINDS = (
    Kind("v1", "Namespace", "namespaces", namespaced=False),
    Kind("v1", "Node", "nodes", namespaced=False),
    Kind("v1", "Pod", "pods"),
    Kind("v1", "Service", "services"),
    Kind("v1", "ServiceAccount", "serviceaccounts"),
    Kind("v1", "Secret", "secrets"),
    Kind("v1", "ConfigMap", "configmaps"),
    Kind("v1", "Endpoints", "endpoints"),
    Kind("v1", "Event", "events"),
    Kind("apps/v1", "Deployment", "deployments"),
    Kind("apps/v1", "DaemonSet", "daemonsets"),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("coordination.k8s.io/v1", "Lease", "leases"),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    Kind(ROLES, "ClusterRole", "clusterroles", namespaced=False),
    Kind(ROLES, "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    Kind(ROLES, "Role", "roles"),
    Kind(ROLES, "RoleBinding", "rolebindings"),
)


def of_object(item: dict[str, Any]) -> Kind:
    """The kind of an object. Raises Refusal for one that there is not."""
    for kind in KINDS:
        if (kind.group, kind.name) == (item.get("apiVersion"), item.get("kind")):
            return kind
    raise Refusal(f"no matches for kind {item.get('kind')!r} in version {item.get('apiVersion')!r}")


def of_word(word: str) -> Kind:
    """The kind that a command line means by `node`, `nodes` or `deployments.apps`."""
    for kind in KINDS:
        if word.partition(".")[0].lower() in (kind.plural, kind.name.lower()):
            return kind
    raise Refusal(f"the server doesn't have a resource type {word!r}")


def of_path(path: str) -> tuple[Kind, str, str] | None:
    """Kind, namespace and name that a path means; None when it means none. `/status` at its end changes nothing."""
    words = path.removesuffix("/status").strip("/").split("/")
    for kind in KINDS:
        head = ["api" if kind.group == "v1" else "apis", *kind.group.split("/")]
        rest = words[len(head) :]
        if words[: len(head)] != head:
            continue
        namespace = ""
        if kind.namespaced and len(rest) >= 3 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        if rest[:1] == [kind.plural] and len(rest) <= 2:
            return kind, namespace, rest[1] if len(rest) == 2 else ""
    return None
