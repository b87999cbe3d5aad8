"""Stand-ins for kube-controller-manager and kube-scheduler: both ask the API and answer for their health."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from standin import certificates, documents, flags, tokens
from standin.client import ApiError, Client
from standin.kinds import of_word
from standin.refusal import Refusal
from standin.serve import Health, serve, tls

PORTS = {"kube-controller-manager": 10257, "kube-scheduler": 10259}
HEALTH = {"kube-controller-manager": ("/healthz",), "kube-scheduler": ("/healthz", "/livez", "/readyz")}
REQUIRED = (
    "kubeconfig",
    "authentication-kubeconfig",
    "authorization-kubeconfig",
    "tls-cert-file",
    "tls-private-key-file",
)
MANAGER_REQUIRED = (
    "root-ca-file",
    "service-account-private-key-file",
    "cluster-cidr",
    "use-service-account-credentials",
)
ACCOUNT = "kubernetes.io/service-account.name"


def check(component: str, words: Sequence[str]) -> tuple[dict[str, str], Client]:
    """The flags and a client of the API. Raises Refusal."""
    manager = component == "kube-controller-manager"
    found = flags.parse(component, words, (*REQUIRED, *(MANAGER_REQUIRED if manager else ())))
    config = documents.load_kubeconfig(found["kubeconfig"])
    for name in ("authentication-kubeconfig", "authorization-kubeconfig"):
        documents.load_kubeconfig(found[name])
    authority = config["certificate-authority"]
    certificates.check_client(config["client-certificate"], config["client-key"], authority, f"system:{component}")
    pair = found["tls-cert-file"], found["tls-private-key-file"]
    certificates.check_server(*pair, authority, {found.get("bind-address", "127.0.0.1")})
    for name in ("client-ca-file", "requestheader-client-ca-file", "root-ca-file"):
        if name in found:
            certificates.readable(found[name])
    if manager:
        certificates.openssl("pkey", "-noout", "-in", str(certificates.private(_key(found))))
        if found.get("allocate-node-cidrs", "false") != "false":
            raise Refusal("--allocate-node-cidrs: ovnkube hands out the subnets")
    return found, Client(config)


def _key(found: dict[str, str]) -> str:
    return found["service-account-private-key-file"]


def main(component: str, _version: str, words: Sequence[str]) -> NoReturn:
    """Do the component's work, as far as the runbooks see any, until stopped."""
    found, client = check(component, words)
    pair = found["tls-cert-file"], found["tls-private-key-file"]
    clients = found.get("client-ca-file", "")
    serve(found.get("bind-address", "127.0.0.1"), PORTS[component], Health, tls(*pair, clients), HEALTH[component])
    while True:
        try:
            if component == "kube-controller-manager":
                fill_tokens(client, found)
                count_pods(client)
        except ApiError as error:
            print(error, flush=True)
        time.sleep(1)


def fill_tokens(client: Client, found: dict[str, str]) -> None:
    """Put a token and the CA into each secret that asks for one, when its account is there."""
    secrets = client.ask("GET", of_word("secrets").path(""))["items"]
    wanting = [
        each for each in secrets if each.get("type") == "kubernetes.io/service-account-token" and "data" not in each
    ]
    accounts = client.ask("GET", of_word("serviceaccounts").path(""))["items"] if wanting else []
    names = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in accounts}
    for secret in wanting:
        namespace = secret["metadata"]["namespace"]
        account = secret["metadata"].get("annotations", {}).get(ACCOUNT, "")
        if (namespace, account) in names:
            authority = certificates.readable(found["root-ca-file"]).read_text()
            data = {"token": tokens.sign(_key(found), namespace, account), "ca.crt": authority}
            data = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
            place = of_word("secrets").path(namespace, secret["metadata"]["name"])
            client.ask("PATCH", f"{place}?fieldManager=token-controller", {"data": data, "metadata": {}})


def count_pods(client: Client) -> None:
    """Call a Deployment's pods available once a node could run them. No pod runs anywhere."""
    nodes = client.ask("GET", of_word("nodes").path(""))["items"]
    for deployment in client.ask("GET", of_word("deployments").path(""))["items"]:
        pod = deployment["spec"]["template"]["spec"]
        count = deployment["spec"].get("replicas", 1) if any(_could_run(node, pod) for node in nodes) else 0
        status = {"replicas": deployment["spec"].get("replicas", 1)}
        if count:
            status |= {"readyReplicas": count, "availableReplicas": count, "updatedReplicas": count}
        if deployment.get("status") != status:
            metadata = deployment["metadata"]
            place = of_word("deployments").path(metadata["namespace"], metadata["name"])
            client.ask("PATCH", f"{place}?fieldManager=deployment-controller", {"status": status, "metadata": {}})


def _could_run(node: dict[str, Any], pod: dict[str, Any]) -> bool:
    """Whether the node is ready, takes the pod and has its images: no stand-in pulls any."""
    ready = any((each["type"], each["status"]) == ("Ready", "True") for each in node["status"]["conditions"])
    keys = {each.get("key") for each in pod.get("tolerations") or ()}
    taken = all(taint["key"] in keys for taint in node.get("spec", {}).get("taints") or ())
    held = {name for image in node["status"].get("images") or () for name in image["names"]}
    return ready and taken and held.issuperset(each["image"] for each in pod["containers"])
