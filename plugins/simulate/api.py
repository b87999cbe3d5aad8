"""The API that simulated hosts share: objects that lie with the master's etcd, and what is done with them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from plugins.simulate.differences import unified
from plugins.simulate.units import UnitFile, read_unit
from plugins.simulate.windows.state import where

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

Object = dict[str, Any]
NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
TOKEN_SECRET = "kubernetes.io/service-account-token"  # noqa: S105  # a type of secrets, and none itself
_ACCOUNT = "kubernetes.io/service-account.name"


class NoAnswerError(Exception):
    """The API does not do what it was asked for; the text is what kubectl prints."""


def ask(host: SimulatedHost, config: str) -> SimulatedHost:
    """Give the master whose API answers a host with this kubeconfig. Raises NoAnswerError."""
    document = read_yaml(_text(host, config))
    if document is None:
        raise NoAnswerError(f"error: stat {config}: no such file or directory")
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    server = urlsplit(cluster["server"])
    place, port = f"{server.hostname}:{server.port}", server.port or 0
    master = host.world.at(server.hostname or "")
    if master is None or not master.up or (master is not host and master.blocked("tcp", port)):
        raise NoAnswerError(f"Unable to connect to the server: dial tcp {place}: i/o timeout")
    options = unit_of(master, "kube-apiserver").options
    if not is_ready(master) or options.get("secure-port") != str(port):
        raise NoAnswerError(f"The connection to the server {place} was refused - did you specify the right host?")
    missing = [user[key] for key in ("client-certificate", "client-key") if not _text(host, user[key])]
    if missing:
        raise NoAnswerError(f"error: unable to read client-cert {missing[0]}: no such file or directory")
    if _text(host, cluster["certificate-authority"]) != master.state.files.text(options["client-ca-file"]):
        raise NoAnswerError("Unable to connect to the server: tls: x509: certificate signed by unknown authority")
    return master


@cache
def read_yaml(text: str) -> Any:
    """Read a configuration, which hosts do again and again; nobody may change what comes back."""
    return yaml.safe_load(text)


def _text(host: SimulatedHost, path: str) -> str:
    """Read a file of a host of either system."""
    return host.state.files.text(path if host.state.windows is None else where(path)) or ""


def unit_of(host: SimulatedHost, service: str) -> UnitFile:
    """Read a service's unit file; an empty one where there is none."""
    return read_unit(host.state.files, service) or UnitFile()


def is_ready(master: SimulatedHost) -> bool:
    """Whether the API server is ready, which it is with etcd behind it."""
    return master.well("kube-apiserver") and master.well("etcd")


def key_of(kind: str, name: str, namespace: str = "") -> str:
    """Say under which key an object is kept."""
    return f"{kind} {namespace}/{name}"


def difference(master: SimulatedHost, text: str) -> str:
    """Say as a diff what applying `text` would change; secrets are masked. Raises NoAnswerError."""
    objects, found = master.state.objects, []
    for key, wanted in _documents(objects, text):
        have = objects.get(key)
        will = _shown(_applied(have or {}, wanted))
        found.append(unified(_shown(have) if have else "", will, f"live {key}", f"merged {key}"))
    return "".join(found)


def apply(master: SimulatedHost, text: str) -> None:
    """Make objects as they stand in `text`; what others have set beside that stays. Raises NoAnswerError."""
    for key, wanted in _documents(master.state.objects, text):
        master.state.objects[key] = _applied(master.state.objects.get(key, {}), wanted)
    _fill_tokens(master)


def forget_namespace(master: SimulatedHost, namespace: str) -> None:
    """Take away a namespace and all that is in it."""
    objects = master.state.objects
    for key in [key for key in objects if f" {namespace}/" in key or key == key_of("Namespace", namespace)]:
        del objects[key]


def _documents(objects: dict[str, Object], text: str) -> Iterable[tuple[str, Object]]:
    for document in yaml.safe_load_all(text):
        namespace = document["metadata"].get("namespace", "")
        if namespace and namespace not in NAMESPACES and key_of("Namespace", namespace) not in objects:
            raise NoAnswerError(f'Error from server (NotFound): namespaces "{namespace}" not found')
        yield key_of(document["kind"], document["metadata"]["name"], namespace), document


def _applied(live: Object, wanted: Object) -> Object:
    """Merge as server-side apply does: fields that were applied before and are no longer there go."""
    merged = deepcopy(live)
    _take_away(merged, live.get("metadata", {}).get("managedFields", {}), wanted)
    _put(merged, wanted)
    merged["metadata"]["managedFields"] = deepcopy(wanted)
    return merged


def _take_away(live: Object, before: Object, wanted: Object) -> None:
    for key, value in before.items():
        if key not in wanted:
            live.pop(key, None)
        elif isinstance(value, dict) and isinstance(wanted[key], dict) and isinstance(live.get(key), dict):
            _take_away(live[key], value, wanted[key])


def _put(live: Object, wanted: Object) -> None:
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(live.get(key), dict):
            _put(live[key], value)
        else:
            live[key] = deepcopy(value)


def _shown(item: Object) -> str:
    """Write an object as YAML, as kubectl shows it: without who manages what, and without a secret's data."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    shown = {**item, "metadata": metadata}
    if item["kind"] == "Secret" and "data" in item:
        shown["data"] = dict.fromkeys(item["data"], "***")
    return yaml.safe_dump(shown)


def _fill_tokens(master: SimulatedHost) -> None:
    """Do what the controller manager does: a service account's secret gets its token."""
    objects = master.state.objects
    for key, item in objects.items() if master.well("kube-controller-manager") else ():
        if not key.startswith("Secret ") or item.get("type") != TOKEN_SECRET or "data" in item:
            continue
        metadata = item["metadata"]
        if key_of("ServiceAccount", metadata["annotations"][_ACCOUNT], metadata["namespace"]) in objects:
            item["data"] = {"token": base64.b64encode(secrets.token_urlsafe(48).encode()).decode()}


def token_of(master: SimulatedHost, namespace: str, name: str) -> str:
    """Give the token that a secret holds; empty where there is none."""
    held = master.state.objects.get(key_of("Secret", name, namespace), {}).get("data", {})
    return base64.b64decode(held.get("token", "")).decode()
