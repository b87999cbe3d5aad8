"""Stand-in for kube-apiserver."""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import NoReturn

from standin import certificates, documents, flags
from standin.api import HEALTH, Api, Rest
from standin.client import check_etcd
from standin.refusal import Refusal
from standin.serve import notify_ready, serve, tls

REQUIRED = (
    *("advertise-address", "etcd-servers", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "authorization-mode"),
    *("client-ca-file", "tls-cert-file", "tls-private-key-file", "service-cluster-ip-range", "service-account-issuer"),
    *("service-account-key-file", "service-account-signing-key-file", "kubelet-certificate-authority"),
    *("kubelet-client-certificate", "kubelet-client-key", "encryption-provider-config"),
)


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


def main(_component: str, version: str, words: Sequence[str]) -> NoReturn:
    """Serve until stopped."""
    found = check(words)
    context = tls(found["tls-cert-file"], found["tls-private-key-file"], found["client-ca-file"])
    serve("0.0.0.0", int(found.get("secure-port", "6443")), Rest, context, Api(found, version))  # noqa: S104 -- as the real one
    notify_ready()
    while True:
        time.sleep(3600)
