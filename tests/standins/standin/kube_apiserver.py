"""Stand-in for kube-apiserver."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from standin import access, certificates, documents, flags, kinds, tokens
from standin.client import check_etcd
from standin.refusal import Refusal
from standin.serve import Handler, notify_ready, serve, tls
from standin.store import Store

OBJECTS = Path("/var/lib/kube-apiserver-standin/objects.json")
REQUIRED = (
    *("advertise-address", "etcd-servers", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "authorization-mode"),
    *("client-ca-file", "tls-cert-file", "tls-private-key-file", "service-cluster-ip-range", "service-account-issuer"),
    *("service-account-key-file", "service-account-signing-key-file", "kubelet-certificate-authority"),
    *("kubelet-client-certificate", "kubelet-client-key", "encryption-provider-config"),
)
HEALTH = ("/livez", "/readyz", "/healthz")


def check(words: Sequence[str]) -> dict[str, str]:
    """The flags, when the real server would start with them and what they name. Raises Refusal."""
    found = flags.parse("kube-apiserver", words, REQUIRED)
    if found["authorization-mode"] != "Node,RBAC":
        raise Refusal(f"--authorization-mode={found['authorization-mode']}: not Node,RBAC")
    if found.get("anonymous-auth", "false") != "false" and "authentication-config" not in found:
        raise Refusal("--anonymous-auth: everybody may ask")
    certificates.check_server(
        found["tls-cert-file"],
        found["tls-private-key-file"],
        found["client-ca-file"],
        {
            *(found["advertise-address"], str(ip_network(found["service-cluster-ip-range"])[1]), "kubernetes"),
            *("kubernetes.default", "kubernetes.default.svc"),
        },
    )
    kubelet = found["kubelet-client-certificate"], found["kubelet-client-key"]
    certificates.check_client(*kubelet, found["client-ca-file"])
    etcd = found["etcd-certfile"], found["etcd-keyfile"], found["etcd-cafile"]
    certificates.check_client(*etcd)
    if "proxy-client-cert-file" in found:
        proxy = found["proxy-client-cert-file"], found.get("proxy-client-key-file", "")
        name = found.get("requestheader-allowed-names", "")
        certificates.check_client(*proxy, found.get("requestheader-client-ca-file", ""), name)
    public = certificates.openssl("pkey", "-pubout", "-in", str(certificates.private(_signing(found))))
    given = str(certificates.readable(found["service-account-key-file"]))
    if certificates.openssl("pkey", "-pubin", "-pubout", "-in", given) != public:
        raise Refusal(f"{given}: not the public half of {_signing(found)}")
    _check_files(found)
    for url in found["etcd-servers"].split(","):
        check_etcd(url, etcd[2], etcd[0], etcd[1])
    return found


def _signing(found: dict[str, str]) -> str:
    return found["service-account-signing-key-file"]


def _check_files(found: dict[str, str]) -> None:
    encryption = str(certificates.private(found["encryption-provider-config"]))
    documents.load(encryption, "apiserver.config.k8s.io/v1/EncryptionConfiguration")
    if "authentication-config" in found:
        name = found["authentication-config"]
        anonymous = documents.load(name, "apiserver.config.k8s.io/v1/AuthenticationConfiguration").get("anonymous", {})
        paths = [each.get("path") for each in anonymous.get("conditions") or ()]
        if anonymous.get("enabled") and (not paths or set(paths) - set(HEALTH)):
            raise Refusal(f"{name}: the anonymous may ask for {paths or 'all'}")
    if "audit-policy-file" in found:
        documents.load(found["audit-policy-file"], "audit.k8s.io/v1/Policy")
    if "audit-log-path" in found and not Path(found["audit-log-path"]).parent.is_dir():
        raise Refusal(f"--audit-log-path: no folder {Path(found['audit-log-path']).parent}")


class Api:
    """What the server's requests share."""

    def __init__(self, found: dict[str, str], version: str, objects: Path = OBJECTS) -> None:
        self.flags, self.version = found, version
        self.store = Store(objects)
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

    def user(self, handler: Handler) -> access.User | None:
        """Who asks; None for a token that is nobody's."""
        connection = handler.connection
        certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
        if certificate:
            return access.user_of(dict(certificate))
        token = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            return access.ANONYMOUS
        try:
            if token not in self.subjects:
                self.subjects[token] = tokens.subject(token, [self.flags["service-account-key-file"]])
        except Refusal:
            return None
        return access.account_of(self.subjects[token])

    def check_kubelet(self, node: dict[str, Any]) -> None:
        """Raise Refusal unless the node's kubelet answers as one that this server would ask for logs."""
        addresses = node.get("status", {}).get("addresses", ())
        address = next((each["address"] for each in addresses if each["type"] == "InternalIP"), "")
        context = ssl.create_default_context(cafile=self.flags["kubelet-certificate-authority"])
        context.load_cert_chain(self.flags["kubelet-client-certificate"], self.flags["kubelet-client-key"])
        connection = http.client.HTTPSConnection(address, 10250, timeout=5, context=context)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status != 200:
                raise Refusal(f"the kubelet at {address}:10250 does not take our certificate")
        except (OSError, http.client.HTTPException) as error:
            raise Refusal(f"the kubelet at {address}:10250: {error}") from None
        finally:
            connection.close()


class Rest(Handler):
    """Objects for who may have them: GET, PATCH (server-side apply) and DELETE."""

    def do_GET(self) -> None:  # noqa: N802 -- the names in the standard library
        """An object, a list of them, health or the version."""
        self._handle("GET")

    def do_PATCH(self) -> None:  # noqa: N802
        """Apply an object."""
        self._handle("PATCH")

    def do_DELETE(self) -> None:  # noqa: N802
        """Delete an object."""
        self._handle("DELETE")

    def _handle(self, method: str) -> None:
        api: Api = self.server.subject
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        user = api.user(self)
        if url.path in HEALTH:
            ill = api.ill()
            lines = ["[+]ping ok", f"[{'-' if ill else '+'}]etcd {ill or 'ok'}", f"{url.path[1:]} check passed", ""]
            text = "\n".join(lines) if "verbose" in url.query else ill or "ok"
            self.answer(500 if ill else 200, text)
        elif user is None or user == access.ANONYMOUS:
            self.answer(401, "Unauthorized")
        elif url.path == "/version":
            self.answer(200, json.dumps({"gitVersion": api.version, "platform": "stand-in"}), "application/json")
        else:
            self._object(
                api, user, method, url.path, {key: values[0] for key, values in parse_qs(url.query).items()}, body
            )

    def _object(
        self, api: Api, user: access.User, method: str, path: str, query: dict[str, str], body: dict[str, Any]
    ) -> None:
        found = kinds.of_path(path)
        if found is None:
            self.answer(404, "the server could not find the requested resource")
            return
        kind, namespace, name = found
        if not access.allowed(api.store, user, method, kind, name, path.endswith("/status")):
            what = f'{kind.plural} "{name}" is forbidden: User "{user.name}"'
            self.answer(403, f'{what} cannot {method} resource "{kind.plural}"')
            return
        place = kind.path(namespace, name)
        item = api.store.get(place) if name else None
        if method == "GET" and not name:
            items = api.store.under(kind.plural, kind.group, namespace)
            self._send({"apiVersion": "v1", "kind": "List", "items": items})
        elif method != "PATCH" and item is None:
            self.answer(404, f'{kind.plural} "{name}" not found')
        elif method == "GET":
            self._send(item)
        elif method == "DELETE":
            api.store.delete(place)
            self._send({"status": "Success"})
        elif namespace and api.store.get(f"/api/v1/namespaces/{namespace}") is None:
            self.answer(404, f'namespaces "{namespace}" not found')
        else:
            self._apply(api, place, kind, body, query)

    def _apply(self, api: Api, place: str, kind: kinds.Kind, body: dict[str, Any], query: dict[str, str]) -> None:
        if kind.plural == "nodes" and any(
            (each["type"], each["status"]) == ("Ready", "True") for each in body.get("status", {}).get("conditions", ())
        ):
            try:
                api.check_kubelet(body)
            except Refusal as refusal:
                self.answer(500, str(refusal))
                return
        dry_run = query.get("dryRun") == "All"
        self._send(api.store.apply(place, body, query.get("fieldManager", ""), dry_run=dry_run))

    def _send(self, item: Any) -> None:
        self.answer(200, json.dumps(item), "application/json")


def main(words: Sequence[str], version: str) -> None:
    """Serve until stopped."""
    found = check(words)
    context = tls(found["tls-cert-file"], found["tls-private-key-file"], found["client-ca-file"])
    serve("0.0.0.0", int(found.get("secure-port", "6443")), Rest, context, Api(found, version))  # noqa: S104 -- as the real one
    notify_ready()
    while True:
        time.sleep(3600)
