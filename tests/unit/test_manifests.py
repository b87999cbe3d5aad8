"""What is told to the API and to Kubernetes' programs: it parses, and holds no field that they do not know."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
import yaml
from kubernetes import client
from pydantic import ValidationError

from plugins.inventory.fields import NAME
from plugins.inventory.model import ClusterSettings, ContainerdSettings
from plugins.kubernetes import (
    ENCRYPTION_CONFIG,
    MASTER_ACCOUNT,
    MASTER_TAINT,
    NODE_ACCOUNT,
    OVN_NAMESPACE,
    PROBE_NAMESPACE,
    TLS,
    Placement,
)
from plugins.pki.table import ADMINISTRATORS
from plugins.releases import SHIPPED, load_release
from plugins.scripts import TEMPLATES, environment
from plugins.settings import ROOT

CLUSTER = ClusterSettings(
    name="demo",
    pod_network=IPv4Network("10.244.0.0/16"),
    service_network=IPv4Network("10.100.0.0/16"),
    dns_address=IPv4Address("10.100.0.10"),
)
RELEASE = load_release("current", SHIPPED)
VALUES: dict[str, Any] = {
    "cluster": CLUSTER,
    "administrators": ADMINISTRATORS,
    "namespace": OVN_NAMESPACE,
    "master_account": MASTER_ACCOUNT,
    "node_account": NODE_ACCOUNT,
    "nodes": ("master-1", "linux-1"),
}
IMAGES = {"dns.yaml.j2": RELEASE.image("coredns"), "probe.yaml.j2": RELEASE.image("pause")}
MANIFESTS = sorted(path.name for path in (TEMPLATES / "manifests").iterdir())
FIELDS = json.loads((ROOT / "tests/standins/standin/fields.json").read_text())


def objects(name: str) -> list[dict[str, Any]]:
    """Render a manifest and read its objects."""
    values = VALUES | ({"namespace": PROBE_NAMESPACE} if name == "probe.yaml.j2" else {})
    text = environment("current").get_template(f"manifests/{name}").render(**values, image=IMAGES.get(name, ""))
    return list(yaml.safe_load_all(text))


EVERY = [(name, item) for name in MANIFESTS for item in objects(name)]


def named(pair: Any) -> str:
    return f"{pair[1]['kind']}-{pair[1]['metadata']['name']}"


def unknown(value: Any, form: str, place: str) -> Iterator[str]:
    """Name the fields of `value` that the API's type `form` does not have."""
    if inner := re.fullmatch(r"List\[(.*)\]", form):
        for number, each in enumerate(value):
            yield from unknown(each, inner[1], f"{place}[{number}]")
    elif inner := re.fullmatch(r"Dict\[str, (.*)\]", form):
        for key, each in value.items():
            yield from unknown(each, inner[1], f"{place}.{key}")
    elif model := getattr(client, form, None):
        types = {key: model.openapi_types[name] for name, key in model.attribute_map.items()}
        for key, each in value.items():
            yield from unknown(each, types[key], f"{place}.{key}") if key in types else [f"{place}.{key}"]


@pytest.mark.parametrize(("name", "item"), EVERY, ids=map(named, EVERY))
def test_every_object_is_one_of_the_api(name: str, item: dict[str, Any]) -> None:
    """Its kind is there, no field is misspelt, what has to be there is, and its name is one."""
    version = item["apiVersion"].rpartition("/")[2].capitalize()
    form = f"{version}{item['kind']}"
    assert list(unknown(item, form, item["kind"])) == [], name
    client.ApiClient().deserialize(json.dumps(item), form, "application/json")
    # Roles may have colons in their names; whatever runs may not.
    pattern = r"[a-z0-9:-]+" if "Role" in item["kind"] else NAME
    assert re.fullmatch(pattern, item["metadata"]["name"])


def test_a_misspelt_field_is_found() -> None:
    """At whatever depth, and with its place; and so is what is missing."""
    item = {"kind": "Service", "spec": {"ports": [{"port": 53, "protokol": "UDP"}]}}
    assert list(unknown(item, "V1Service", "Service")) == ["Service.spec.ports[0].protokol"]
    with pytest.raises(ValidationError, match="selector"):
        client.ApiClient().deserialize('{"spec": {"replicas": 1}}', "V1Deployment", "application/json")


def test_objects_stand_once() -> None:
    """Two manifests with the same object would take it from each other at every run."""
    places = [(i["kind"], i["metadata"].get("namespace"), i["metadata"]["name"]) for name, i in EVERY]
    assert len(places) == len(set(places))


def test_who_is_bound_and_to_what_is_there() -> None:
    """Every role and account that a binding names is made here, or is one that Kubernetes brings."""
    made = {(item["kind"], item["metadata"]["name"]) for _, item in EVERY}
    brought = {("ClusterRole", "cluster-admin"), ("ClusterRole", "system:kubelet-api-admin")}
    for _, item in EVERY:
        if item["kind"].endswith("Binding"):
            assert (item["roleRef"]["kind"], item["roleRef"]["name"]) in made | brought
            accounts = [each for each in item["subjects"] if each["kind"] == "ServiceAccount"]
            assert {("ServiceAccount", each["name"]) for each in accounts} <= made


def test_the_overlays_accounts_may_do_nothing_at_will() -> None:
    """No wildcard, no secrets, and no right to make pods or bindings."""
    rules = [rule for _, item in EVERY if item["kind"] in {"Role", "ClusterRole"} for rule in item["rules"]]
    assert len(rules) > 5
    for rule in rules:
        assert "*" not in {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}
        assert "secrets" not in rule["resources"]
        assert not {"escalate", "bind", "impersonate", "delete"} & set(rule["verbs"])
        if "pods" in rule["resources"]:
            assert set(rule["verbs"]) <= {"get", "list", "watch"}


@dataclass(frozen=True)
class File:
    """A configuration file: its kind, and what is filled in."""

    template: str
    kind: str
    values: dict[str, Any]


FILES = [
    File(
        "kubelet.yaml.j2",
        "kubelet.config.k8s.io/v1beta1/KubeletConfiguration",
        {
            "tls": TLS,
            "containerd": ContainerdSettings(),
            "resolv_conf": "/r",
            "taint": MASTER_TAINT,
            "fields": {"maxPods": 50, "failCgroupV1": False},
        },
    ),
    File("authentication.yaml.j2", "apiserver.config.k8s.io/v1/AuthenticationConfiguration", {}),
    File("audit-policy.yaml.j2", "audit.k8s.io/v1/Policy", {}),
    File(
        "encryption.yaml.j2",
        "apiserver.config.k8s.io/v1/EncryptionConfiguration",
        {"keys": {"encryption": "a" * 43 + "="}, "path": ENCRYPTION_CONFIG},
    ),
    File(
        "kubeconfig.j2",
        "v1/Config",
        {
            "api_url": "https://10.142.0.2:6443",
            "authority": "/ca",
            "user": "system:node:a",
            "place": Placement("/c", "/k"),
        },
    ),
]


def strangers(value: Any, fields: Any, place: str) -> Iterator[str]:
    """Name the keys of `value` that the real programs do not know; `fields` as in fields.json."""
    if isinstance(fields, dict):
        for key, inner in value.items():
            yield from strangers(inner, fields[key], f"{place}.{key}") if key in fields else [f"{place}.{key}"]
    elif isinstance(fields, list):
        for number, inner in enumerate(value):
            yield from strangers(inner, fields[0], f"{place}[{number}]")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.template)
def test_every_configuration_file_is_strict(file: File) -> None:
    """It is one document of its kind, and holds no field that the program of this release refuses."""
    text = environment("current").get_template(f"files/{file.template}").render(cluster=CLUSTER, **file.values)
    document = yaml.safe_load(text)
    version, _, kind = file.kind.rpartition("/")
    assert (document["apiVersion"], document["kind"]) == (version, kind)
    assert list(strangers(document, FIELDS[file.kind], kind)) == []


@pytest.mark.parametrize("name", ["2026", "1e3", "null", "on"])
def test_names_that_yaml_takes_for_something_else_stay_names(name: str) -> None:
    """A cluster may be called so; programs refuse files where a name is no string."""
    cluster = CLUSTER.model_copy(update={"name": name, "dns_domain": name})
    values = {file.template: file.values for file in FILES}
    files = environment("current")

    def read(template: str) -> Any:
        text = files.get_template(f"files/{template}").render(cluster=cluster, **values[template])
        return yaml.safe_load(text)

    config = read("kubeconfig.j2")
    context = config["contexts"][0]
    assert [config["current-context"], config["clusters"][0]["name"], context["name"]] == [name] * 3
    assert context["context"] == {"cluster": name, "user": "system:node:a"}
    assert read("kubelet.yaml.j2")["clusterDomain"] == name
