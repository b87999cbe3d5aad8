"""Who asks, and what that one may do: Kubernetes' own users in short, everybody else by the roles that are bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from standin.kinds import ROLES, Kind
from standin.store import Store

READ = frozenset({"get", "list"})
EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


@dataclass(frozen=True)
class User:
    """A name and its groups."""

    name: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wish:
    """What somebody wants to do: `verb` as roles name it, `part` is `status` or empty."""

    verb: str
    kind: Kind
    namespace: str = ""
    name: str = ""
    part: str = ""

    def __str__(self) -> str:
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return f'cannot {self.verb} resource "{self.resource}" in API group "{self.group}" {where}'

    @property
    def group(self) -> str:
        """The API group, empty for the core one."""
        return self.kind.group.rpartition("/")[0]

    @property
    def resource(self) -> str:
        """The resource, with its part."""
        return f"{self.kind.plural}/{self.part}" if self.part else self.kind.plural


ANONYMOUS = User("system:anonymous")


def user_of(certificate: dict[str, Any]) -> User:
    """The user in a client's certificate, as ssl.getpeercert() gives it."""
    parts = [pair for group in certificate.get("subject", ()) for pair in group]
    name = next((value for key, value in parts if key == "commonName"), "")
    return User(name, frozenset(value for key, value in parts if key == "organizationName"))


def account_of(subject: str) -> User:
    """The user in a service account's token."""
    return User(subject, frozenset({"system:serviceaccounts"}))


def allowed(store: Store, user: User, wish: Wish) -> bool:
    """Whether the user may do this."""
    if "system:masters" in user.groups:
        return True
    if "system:nodes" in user.groups:
        # A node sees no other node; what a service is all of them may know.
        lease = wish.kind.plural == "leases" and wish.namespace == "kube-node-lease"
        own = (wish.kind.plural == "nodes" or lease) and user.name == f"system:node:{wish.name}"
        return own or (wish.verb in READ and wish.kind.plural == "services")
    if user.name == "system:kube-controller-manager":
        return wish.verb in READ or wish.kind.plural in ("secrets", "deployments")
    if user.name == "system:kube-proxy":
        return wish.verb in READ and wish.kind.plural in ("services", "endpointslices", "nodes")
    if user.name == "system:kube-scheduler":
        return wish.verb in READ and wish.kind.plural in ("nodes", "pods")
    return any(_covers(rule, wish) for rule in _rules(store, user, wish.namespace))


def _covers(rule: dict[str, Any], wish: Wish) -> bool:
    wanted = {"apiGroups": wish.group, "resources": wish.resource, "verbs": wish.verb}
    names = rule.get("resourceNames") or [wish.name]
    return wish.name in names and all({value, "*"} & set(rule.get(key) or ()) for key, value in wanted.items())


def _rules(store: Store, user: User, namespace: str) -> Iterator[dict[str, Any]]:
    """The rules of all roles that are bound to the user, in the whole cluster or in the namespace."""
    bindings = store.under("clusterrolebindings", ROLES)
    if namespace:
        bindings += store.under("rolebindings", ROLES, namespace)
    for binding in bindings:
        if not any(_is(subject, user) for subject in binding.get("subjects") or ()):
            continue
        reference = binding["roleRef"]
        if (reference["kind"], reference["name"]) == ("ClusterRole", "cluster-admin"):
            yield EVERYTHING
        inside = namespace if reference["kind"] == "Role" else ""
        for role in store.under("roles" if inside else "clusterroles", ROLES, inside):
            if role["metadata"]["name"] == reference["name"]:
                yield from role.get("rules") or ()


def _is(subject: dict[str, Any], user: User) -> bool:
    if subject["kind"] == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace')}:{subject['name']}"
    return subject["name"] in (user.groups if subject["kind"] == "Group" else {user.name})
