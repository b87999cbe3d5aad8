"""What the stand-in API server answers, to whom."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from standin import access, schema, tokens
from standin.client import ApiError, check_etcd
from standin.kinds import Kind, of_path
from standin.refusal import Refusal
from standin.serve import Handler
from standin.store import Store

OBJECTS = Path("/var/lib/kube-apiserver-standin/objects.json")
HEALTH = ("/livez", "/readyz", "/healthz")
JSON = "application/json"
APPLY, STRATEGIC = "application/apply-patch+yaml", "application/strategic-merge-patch+json"
WRITES = ("PATCH", "MERGE", "POST", "PUT")
LABEL = re.compile("[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


class Api:
    """What the server's requests share: flags, objects, who is who."""

    def __init__(self, found: dict[str, str], version: str, objects: Path = OBJECTS) -> None:
        self.flags, self.version = found, version
        self.store = Store(objects)
        self.services = ip_network(found["service-cluster-ip-range"])
        ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": int(found.get("secure-port", "6443"))}]
        own = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default"}}
        own["spec"] = {"clusterIP": str(self.services[1]), "ports": ports}
        self.store.apply("/api/v1/namespaces/default/services/kubernetes", own, "kube-apiserver")
        self.subjects: dict[str, str] = {}
        self.etcd = 0.0, ""

    def ill(self) -> str:
        """What is wrong with etcd now; an answer holds for a second."""
        if time.monotonic() - self.etcd[0] > 1:
            names = ("etcd-cafile", "etcd-certfile", "etcd-keyfile")
            wrong = ""
            try:
                for url in self.flags["etcd-servers"].split(","):
                    check_etcd(url, *(self.flags[name] for name in names))
            except Refusal as refusal:
                wrong = str(refusal)
            self.etcd = time.monotonic(), wrong
        return self.etcd[1]

    def user(self, certificate: dict[str, Any] | None, token: str) -> access.User:
        """Who asks. Raises ApiError for a token that is nobody's."""
        if certificate:
            return access.user_of(certificate)
        if not token:
            return access.ANONYMOUS
        try:
            if token not in self.subjects:
                self.subjects[token] = tokens.subject(token, [self.flags["service-account-key-file"]])
        except Refusal:
            raise ApiError(401, "Unauthorized") from None
        return access.account_of(self.subjects[token])

    def check_kubelet(self, node: dict[str, Any]) -> None:
        """Raise ApiError unless the node's kubelet answers as one that this server would ask for logs."""
        addresses = node.get("status", {}).get("addresses", ())
        address = next((each["address"] for each in addresses if each["type"] == "InternalIP"), "")
        context = ssl.create_default_context(cafile=self.flags["kubelet-certificate-authority"])
        context.load_cert_chain(self.flags["kubelet-client-certificate"], self.flags["kubelet-client-key"])
        connection = http.client.HTTPSConnection(address, 10250, timeout=5, context=context)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status != 200:
                raise ApiError(500, f"the kubelet at {address}:10250 does not take our certificate")
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(500, f"the kubelet at {address}:10250: {error}") from None
        finally:
            connection.close()


class Rest(Handler):
    """Objects for who may have them: GET, POST, PUT, PATCH (server-side apply, or strategic) and DELETE."""

    def do_GET(self) -> None:  # noqa: N802 -- the names in the standard library
        """An object, a list of them, health or the version."""
        self._handle("GET")

    def do_PATCH(self) -> None:  # noqa: N802
        """Apply an object, or merge a part of one."""
        kind = self.headers.get("Content-Type", APPLY)
        if kind in (APPLY, STRATEGIC):
            self._handle("PATCH" if kind == APPLY else "MERGE")
        else:
            self.answer(415, f"the body of the request was in an unknown format: {kind}")

    def do_POST(self) -> None:  # noqa: N802
        """Make an object."""
        self._handle("POST")

    def do_PUT(self) -> None:  # noqa: N802
        """Put an object in place of one that is there."""
        self._handle("PUT")

    def do_DELETE(self) -> None:  # noqa: N802
        """Delete an object."""
        self._handle("DELETE")

    def _handle(self, method: str) -> None:
        api: Api = self.server.subject
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        certificate = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        try:
            user = api.user(certificate, self.headers.get("Authorization", "").removeprefix("Bearer "))
            if url.path in HEALTH:
                self._health(api.ill(), url.path, verbose="verbose" in url.query)
            elif user == access.ANONYMOUS:
                self.answer(401, "Unauthorized")
            elif url.path == "/version":
                self.answer(200, json.dumps({"gitVersion": api.version, "platform": "stand-in"}), JSON)
            else:
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                self.answer(200, json.dumps(answer(api, user, method, url.path, query, body)), JSON)
        except ApiError as error:
            self.answer(error.status, str(error))

    def _health(self, ill: str, path: str, *, verbose: bool) -> None:
        lines = ["[+]ping ok", f"[{'-' if ill else '+'}]etcd {ill or 'ok'}", f"{path[1:]} check passed", ""]
        self.answer(500 if ill else 200, "\n".join(lines) if verbose else ill or "ok")


def answer(
    api: Api, user: access.User, method: str, path: str, query: dict[str, str], body: dict[str, Any]
) -> dict[str, Any]:
    """Do what is asked, if it may be; the object or the list. Raises ApiError."""
    found = of_path(path)
    if found is None:
        raise ApiError(404, "the server could not find the requested resource")
    kind, namespace, name = found
    if method == "POST":
        if name:
            raise ApiError(405, "the server does not allow this method on the requested resource")
        name = str(body.get("metadata", {}).get("name", ""))
    place = kind.path(namespace, name)
    item = api.store.get(place) if name else None
    # To apply what is not there yet is to create it, too.
    verbs = {"GET": ["get" if name else "list"], "DELETE": ["delete"], "POST": ["create"]}
    verbs |= {"PUT": ["update"], "MERGE": ["patch"]}
    for verb in verbs.get(method, ["patch"] if item else ["patch", "create"]):
        wish = access.Wish(verb, kind, namespace, name, "status" if path.endswith("/status") else "")
        if not access.allowed(api.store, user, wish):
            what = f'{kind.plural} "{name}"' if name else kind.plural
            raise ApiError(403, f'{what} is forbidden: User "{user.name}" {wish}')
    if method == "GET" and not name:
        return {"apiVersion": "v1", "kind": "List", "items": api.store.under(kind.plural, kind.group, namespace)}
    if method in WRITES:
        where = {"namespace": namespace} if namespace else {}
        body = {"apiVersion": kind.group, "kind": kind.name, **body}
        body["metadata"] = {**body.get("metadata", {}), "name": name, **where}
        return write(api, user, Write(method, kind, place, item, body, query))
    if item is None:
        raise ApiError(404, f'{kind.plural} "{name}" not found')
    if method == "DELETE":
        api.store.delete(place)
    return item


@dataclass(frozen=True)
class Write:
    """What is to be written where: `item` is what is there, `body` what is wanted."""

    method: str
    kind: Kind
    place: str
    item: dict[str, Any] | None
    body: dict[str, Any]
    query: dict[str, str]


def write(api: Api, user: access.User, wanted: Write) -> dict[str, Any]:
    """Write an object, if the real server would; the object. Raises ApiError."""
    kind, place, item, body = wanted.kind, wanted.place, wanted.item, wanted.body
    name, namespace = body["metadata"]["name"], body["metadata"].get("namespace", "")
    if namespace and api.store.get(f"/api/v1/namespaces/{namespace}") is None:
        raise ApiError(404, f'namespaces "{namespace}" not found')
    if wanted.method in ("MERGE", "PUT") and item is None:
        raise ApiError(404, f'{kind.plural} "{name}" not found')
    if wanted.method == "POST" and item is not None:
        raise ApiError(409, f'{kind.plural} "{name}" already exists')
    check_wanted(api, user, kind, place, body)
    check_taints(user, kind, item, body)
    if wanted.method == "MERGE":
        return api.store.patch(place, body)
    if wanted.method in ("POST", "PUT"):
        return api.store.put(place, body)
    dry_run = wanted.query.get("dryRun") == "All"
    return api.store.apply(place, body, wanted.query.get("fieldManager", ""), dry_run=dry_run)


def check_wanted(api: Api, user: access.User, kind: Kind, place: str, body: dict[str, Any]) -> None:
    """Raise ApiError for an object that the real server would not take, from this user or at all."""
    try:
        schema.check(kind, body)
    except Refusal as refusal:
        raise ApiError(500, f"failed to create typed patch object ({place}): {refusal}") from None
    name, spec = place.rpartition("/")[2], body.get("spec", {})
    for label, value in body.get("metadata", {}).get("labels", {}).items():
        if not (LABEL.fullmatch(label.rpartition("/")[2]) and (not value or LABEL.fullmatch(value))):
            raise ApiError(422, f'The {kind.name} "{name}" is invalid: metadata.labels: {label}={value}')
    address = spec.get("clusterIP", "None") if kind.plural == "services" else "None"
    if address != "None" and ip_address(address) not in api.services:
        raise ApiError(422, f'The Service "{name}" is invalid: spec.clusterIPs: {address} is not in {api.services}')
    if kind.plural == "nodes" and "system:nodes" in user.groups:
        labels = body.get("metadata", {}).get("labels", {})
        # As NodeRestriction has it: nobody gives himself a role.
        if roles := [label for label in labels if label.startswith("node-role.kubernetes.io/")]:
            raise ApiError(403, f'nodes "{name}" is forbidden: is not allowed to modify labels: {", ".join(roles)}')
        conditions = body.get("status", {}).get("conditions", ())
        if any((each["type"], each["status"]) == ("Ready", "True") for each in conditions):
            api.check_kubelet(body)


def check_taints(user: access.User, kind: Kind, item: dict[str, Any] | None, body: dict[str, Any]) -> None:
    """Raise ApiError for a node that changes its taints once it is there, as NodeRestriction has it."""
    if item is None or kind.plural != "nodes" or "system:nodes" not in user.groups:
        return
    wanted = body.get("spec", {}).get("taints")
    if wanted is not None and wanted != item.get("spec", {}).get("taints", []):
        raise ApiError(403, f'nodes "{item["metadata"]["name"]}" is forbidden: is not allowed to modify taints')
