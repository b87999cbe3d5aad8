"""The stand-in API refuses whom and what a real one would: users by their roles, objects by their fields."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standin.access import User
from standin.api import Api, answer
from standin.client import ApiError, Client
from standin.control import count_pods
from standin.names import Names
from standin.ovnkube import hand_out

ADMIN = User("admin", frozenset({"system:masters"}))
NODE = User("system:node:a", frozenset({"system:nodes"}))
ACCOUNT = User("system:serviceaccount:ovn:reader")
ROLES = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
def api(tmp_path: Path) -> Api:
    """An API with a namespace `ovn`, and in it an account that may read nodes, their status, and settings there."""
    api = Api({"service-cluster-ip-range": "10.100.0.0/16"}, "v1", tmp_path / "objects.json")
    apply(api, "/api/v1/namespaces/ovn", {})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "ovn"}
    for kind, place, resources, verbs in (
        ("ClusterRole", ROLES, ["nodes"], ["get", "list"]),
        ("Role", f"{ROLES}/namespaces/ovn", ["configmaps"], ["*"]),
    ):
        rules = [{"apiGroups": [""], "resources": resources, "verbs": verbs}]
        rules += [{"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch", "create"]}]
        apply(api, f"{place}/{kind.lower()}s/reader", {"rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "reader"}
        apply(api, f"{place}/{kind.lower()}bindings/reader", {"roleRef": reference, "subjects": [subject]})
    return api


def apply(api: Api, path: str, item: dict[str, Any], user: User = ADMIN) -> dict[str, Any]:
    """Apply an object at a path, whose end is its name."""
    return answer(api, user, "PATCH", path, {"fieldManager": "test"}, item)


def refused(api: Api, status: int, user: User, method: str, path: str, item: dict[str, Any] | None = None) -> str:
    """The words with which a request is refused."""
    with pytest.raises(ApiError) as error:
        answer(api, user, method, path, {}, item or {})
    assert error.value.status == status
    return str(error.value)


def test_an_account_may_what_its_roles_say(api: Api) -> None:
    """By verb, resource, its part and the namespace of the binding; everything else is forbidden by name."""
    assert answer(api, ACCOUNT, "GET", "/api/v1/nodes", {}, {})["items"] == []
    apply(api, "/api/v1/namespaces/ovn/configmaps/x", {}, ACCOUNT)
    apply(api, "/api/v1/nodes/a/status", {}, ACCOUNT)
    assert 'cannot patch resource "nodes"' in refused(api, 403, ACCOUNT, "PATCH", "/api/v1/nodes/a")
    assert 'cannot list resource "secrets"' in refused(api, 403, ACCOUNT, "GET", "/api/v1/secrets")
    assert "kube-system" in refused(api, 403, ACCOUNT, "PATCH", "/api/v1/namespaces/kube-system/configmaps/x")


def test_a_node_sees_itself_and_gives_itself_no_role(api: Api) -> None:
    """Other nodes, and all of them as a list, are not for it; its role is the administrator's to give."""
    apply(api, "/api/v1/nodes/a", {}, NODE)
    assert answer(api, NODE, "GET", "/api/v1/nodes/a", {}, {})["metadata"]["name"] == "a"
    refused(api, 403, NODE, "GET", "/api/v1/nodes/b")
    refused(api, 403, NODE, "GET", "/api/v1/nodes")
    labels = {"metadata": {"labels": {"node-role.kubernetes.io/worker": ""}}}
    assert "not allowed to modify labels" in refused(api, 403, NODE, "PATCH", "/api/v1/nodes/a", labels)
    assert apply(api, "/api/v1/nodes/a", labels)["metadata"]["labels"] == labels["metadata"]["labels"]


def test_a_node_makes_its_object_and_keeps_its_lease(api: Api) -> None:
    """Made once, told about in parts by type, renewed as a whole; another node's are not for it."""
    node = {"metadata": {"name": "a"}, "spec": {"taints": [{"key": "os", "effect": "NoSchedule"}]}}
    answer(api, NODE, "POST", "/api/v1/nodes", {}, node)
    assert "already exists" in refused(api, 409, NODE, "POST", "/api/v1/nodes", node)
    refused(api, 403, NODE, "POST", "/api/v1/nodes", {"metadata": {"name": "b"}})
    refused(api, 403, NODE, "MERGE", "/api/v1/nodes/a", {"spec": {"taints": []}})
    apply(
        api, "/api/v1/nodes/a/status", {"status": {"conditions": [{"type": "NetworkUnavailable", "status": "False"}]}}
    )
    ready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    merged = answer(api, NODE, "MERGE", "/api/v1/nodes/a/status", {}, ready)
    assert [each["type"] for each in merged["status"]["conditions"]] == ["NetworkUnavailable", "Ready"]
    assert merged["spec"] == node["spec"]
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    refused(api, 404, NODE, "PUT", f"{leases}/a", {"spec": {}})
    made = answer(api, NODE, "POST", leases, {}, {"metadata": {"name": "a"}, "spec": {"holderIdentity": "a"}})
    renewed = answer(
        api, NODE, "PUT", f"{leases}/a", {}, {**made, "spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}
    )
    assert renewed["spec"] == {"renewTime": "2026-01-01T00:00:00.000000Z"}
    assert renewed["metadata"]["uid"] == made["metadata"]["uid"]
    refused(api, 403, NODE, "PUT", f"{leases}/b", {"spec": {}})
    refused(api, 403, NODE, "POST", leases.replace("kube-node-lease", "default"), {"metadata": {"name": "a"}})
    assert "field not declared" in refused(api, 500, NODE, "PUT", f"{leases}/a", {"spec": {"nosuch": 1}})


def test_hybrid_subnets_are_for_nodes_of_windows() -> None:
    """Each Linux node gets a subnet of the pods' network, each other one of the hybrid network; nobody another's."""
    asked = Asked({"l": "linux", "w": "windows", "x": "windows"})
    found = {"cluster-subnets": "10.244.0.0/16/24", "hybrid-overlay-cluster-subnets": "10.245.0.0/16/24"}
    found |= {"no-hostsubnet-nodes": "kubernetes.io/os=windows", "enable-hybrid-overlay": "true"}
    for _ in range(2):
        hand_out(asked, found)
    subnet = "k8s.ovn.org/hybrid-overlay-node-subnet"
    assert asked.annotations == {
        "l": {"k8s.ovn.org/node-subnets": '{"default": ["10.244.0.0/24"]}'},
        "w": {subnet: "10.245.0.0/24"},
        "x": {subnet: "10.245.1.0/24"},
    }


class Asked:
    """An API that has nodes, by name and system, and takes annotations."""

    def __init__(self, nodes: dict[str, str]) -> None:
        self.nodes = nodes
        self.annotations: dict[str, dict[str, str]] = {name: {} for name in nodes}

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """List, or annotate."""
        if method == "GET":
            named = self.annotations.items()
            metadata = [
                {"name": name, "labels": {"kubernetes.io/os": self.nodes[name]}, "annotations": have}
                for name, have in named
            ]
            return {"items": [{"metadata": each} for each in metadata]}
        self.annotations[path.split("/")[4]] |= body["metadata"]["annotations"]
        return {}


@pytest.mark.parametrize(
    ("kind", "item", "said"),
    [
        ("configmaps", {"nosuch": {}}, r"\.nosuch: field not declared in schema"),
        ("configmaps", {"data": {"a": 1}}, r"\.data\.a: expected"),
        ("pods", {"spec": {"containers": {}}}, r"\.spec\.containers: expected"),
        ("pods", {"spec": {"containers": [{"imagePolicy": "x"}]}}, r"containers\[0\]\.imagePolicy: field not declared"),
        ("services", {"spec": {"clusterIP": "10.99.0.1"}}, "is not in 10.100.0.0/16"),
        ("configmaps", {"metadata": {"labels": {"bad key": "1"}}}, "invalid: metadata.labels"),
    ],
)
def test_objects_are_held_to_their_kinds(api: Api, kind: str, item: dict[str, Any], said: str) -> None:
    """An unknown field, a value of another type, a service's address outside of its network, a label that is none."""
    with pytest.raises(ApiError, match=said):
        apply(api, f"/api/v1/namespaces/ovn/{kind}/x", item)


def test_a_namespace_is_there_first_and_takes_all_with_it(api: Api) -> None:
    """What is to lie in one that is not there is not found; what lay in one that is deleted is gone."""
    assert refused(api, 404, ADMIN, "PATCH", "/api/v1/namespaces/no/pods/x") == 'namespaces "no" not found'
    apply(api, "/api/v1/namespaces/ovn/pods/x", {})
    answer(api, ADMIN, "DELETE", "/api/v1/namespaces/ovn", {}, {})
    assert answer(api, ADMIN, "GET", "/api/v1/pods", {}, {})["items"] == []
    refused(api, 404, ADMIN, "GET", "/api/v1/namespaces/ovn")


class Asking(Client):
    """A client that asks an API in its own process, as an administrator."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The answer's object."""
        return answer(self.api, ADMIN, method, path.partition("?")[0], {"fieldManager": "controller"}, body or {})


def test_a_deployment_needs_a_node_that_could_run_it(api: Api) -> None:
    """One that is ready, has its image and no taint that it does not tolerate; without, no count is said at all."""
    place, node = "/apis/apps/v1/namespaces/ovn/deployments/dns", "/api/v1/nodes/a"
    pod = {"containers": [{"name": "dns", "image": "dns:1"}]}
    apply(api, place, {"spec": {"replicas": 2, "template": {"spec": pod}}})
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "images": [{"names": ["dns:1"]}]}
    tainted = {"taints": [{"key": "master", "effect": "NoSchedule"}]}
    for item, available in (
        ({"status": {**ready, "images": []}}, None),
        ({"status": ready, "spec": tainted}, None),
        ({"status": ready}, 2),
    ):
        apply(api, node, item)
        count_pods(Asking(api))
        assert answer(api, ADMIN, "GET", place, {}, {})["status"].get("availableReplicas") == available


@pytest.fixture
def names(api: Api) -> Iterator[socket.socket]:
    """A connection to a server for the names of that API's services."""
    with Names("127.0.0.1", "cluster.local", Asking(api), 0) as server, socket.socket(type=socket.SOCK_DGRAM) as asking:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asking.settimeout(10)
        asking.connect(server.server_address)
        yield asking
        server.shutdown()


def test_names_of_services_are_answered(names: socket.socket) -> None:
    """A service has its address, another name does not exist; what is no question gets no answer."""
    names.send(b"\x00\x01nonsense")
    for number, (name, failure, end) in enumerate(
        [("kubernetes.default.svc.cluster.local", 0, bytes([10, 100, 0, 1])), ("no.default.svc.cluster.local", 3, b"")]
    ):
        labels = b"".join(bytes([len(word)]) + word.encode() for word in name.split("."))
        names.send(struct.pack("!6H", number, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1))
        told = names.recv(512)
        assert struct.unpack_from("!H", told)[0] == number
        assert told[3] & 15 == failure
        assert told.endswith(end)
