"""Who asks, and what that one may do: coarsely as Kubernetes' own node and role authorisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from standin.kinds import Kind
from standin.store import Store

READ = "GET"


@dataclass(frozen=True)
class User:
    """A name and its groups."""

    name: str
    groups: frozenset[str] = frozenset()


ANONYMOUS = User("system:anonymous")


def user_of(certificate: dict[str, Any]) -> User:
    """The user in a client's certificate, as ssl.getpeercert() gives it."""
    parts = [pair for group in certificate.get("subject", ()) for pair in group]
    name = next((value for key, value in parts if key == "commonName"), "")
    return User(name, frozenset(value for key, value in parts if key == "organizationName"))


def account_of(subject: str) -> User:
    """The user in a service account's token."""
    return User(subject, frozenset({"system:serviceaccounts"}))


def allowed(store: Store, user: User, method: str, kind: Kind, name: str, status: bool) -> bool:
    """Whether the user may do this to this kind, or to the object of this name."""
    if "system:masters" in user.groups or "cluster-admin" in _roles(store, user):
        return True
    if "system:nodes" in user.groups:
        own = kind.plural == "nodes" and f"system:node:{name}" == user.name
        return own or (method == READ and kind.plural in ("services", "pods", "nodes"))
    if user.name == "system:kube-controller-manager":
        return method == READ or kind.plural in ("secrets", "deployments")
    if user.name == "system:kube-scheduler":
        return method == READ and kind.plural in ("nodes", "pods")
    if user.name.startswith("system:serviceaccount:") and _roles(store, user):
        return (method == READ and kind.plural != "secrets") or (kind.plural == "nodes" and status)
    return False


def _roles(store: Store, user: User) -> set[str]:
    """Names of the cluster roles that are bound to the user or one of its groups."""
    found = set()
    for binding in store.under("clusterrolebindings", "rbac.authorization.k8s.io/v1"):
        for subject in binding.get("subjects") or ():
            account = f"system:serviceaccount:{subject.get('namespace')}:{subject.get('name')}"
            if (
                (subject["kind"] == "User" and subject["name"] == user.name)
                or (subject["kind"] == "Group" and subject["name"] in user.groups)
                or (subject["kind"] == "ServiceAccount" and account == user.name)
            ):
                found.add(str(binding["roleRef"]["name"]))
    return found
