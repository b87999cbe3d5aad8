"""Stand-in for ovnkube: checks all that it is handed, names the node's subnet and writes the plugin's configuration.

It makes no logical network: no pod would get an address.
"""

from __future__ import annotations

import configparser
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NoReturn

from standin import certificates, documents, flags
from standin.client import ApiError, Client
from standin.kinds import of_word
from standin.refusal import Refusal

CONFIGURATION = Path("/etc/cni/net.d/10-ovn-kubernetes.conf")
POD_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # a path
SUBNETS = "k8s.ovn.org/node-subnets"
TUNNELS = "ext-vxlan"
HYBRID_SUBNET = "k8s.ovn.org/hybrid-overlay-node-subnet"
HYBRID_GATEWAY = "k8s.ovn.org/hybrid-overlay-distributed-router-gateway-ip"
HYBRID_MAC = "k8s.ovn.org/hybrid-overlay-distributed-router-gateway-mac"
DATABASE = {"address", "client-privkey", "client-cert", "client-cacert", "cert-common-name"}
SECTIONS = {
    "kubernetes": {"apiserver", "cacert", "token", "service-cidrs", "kubeconfig", "no-hostsubnet-nodes"},
    "ovnnorth": DATABASE,
    "ovnsouth": DATABASE,
    "default": {"mtu", "cluster-subnets", "encap-ip", "encap-type", "conntrack-zone"},
    "gateway": {"mode", "interface", "next-hop", "nodeport"},
    "hybridoverlay": {"enabled", "cluster-subnets", "hybrid-overlay-vxlan-port"},
    "logging": {"loglevel", "logfile"},
}
WATCHED = ("namespaces", "nodes", "pods", "services", "endpointslices", "networkpolicies")
DATABASES = {"ovnnorth": "OVN_Northbound", "ovnsouth": "OVN_Southbound"}


def read_config(path: str) -> dict[str, dict[str, str]]:
    """Sections of the configuration file. Raises Refusal for one that others may read, or an unknown key."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(certificates.private(path).read_text())
    except configparser.Error as error:
        raise Refusal(f"{path}: does not parse: {' '.join(str(error).split())}") from None
    found = {section: dict(parser[section]) for section in parser.sections()}
    for section, values in found.items():
        if section not in SECTIONS:
            raise Refusal(f"{path}: unknown section [{section}]")
        if unknown := sorted(values.keys() - SECTIONS[section]):
            raise Refusal(f"{path}: unknown key {unknown[0]} in [{section}]")
    for section, keys in (
        ("kubernetes", {"apiserver", "cacert"}),
        ("ovnnorth", DATABASE),
        ("ovnsouth", DATABASE),
    ):
        if missing := sorted(key for key in keys if not found.get(section, {}).get(key)):
            raise Refusal(f"{path}: no {missing[0]} in [{section}]")
    print(f"Parsed config: {found}", flush=True)
    return found


def read_token(api: dict[str, str]) -> str:
    """The service account's token: the configuration's, or where a pod has it. Raises Refusal without one."""
    token = api.get("token") or certificates.private(POD_TOKEN).read_text()
    if token.strip() != token:
        raise Refusal(f"{POD_TOKEN}: white space around the token is sent with it")
    return token


def check_database(values: dict[str, str], name: str) -> None:
    """Raise Refusal unless the database answers over TLS to our certificate, under the name that is stated."""
    pair = values["client-cert"], values["client-privkey"]
    certificates.check_client(*pair, values["client-cacert"])
    context = ssl.create_default_context(cafile=values["client-cacert"])
    context.load_cert_chain(*pair)
    kind, _, rest = values["address"].partition(":")
    address, _, port = rest.rpartition(":")
    if kind != "ssl" or not port.isdigit():
        raise Refusal(f"{name}: address {values['address']} is no ssl:ADDRESS:PORT")
    try:
        with (
            socket.create_connection((address.strip("[]"), int(port)), timeout=5) as plain,
            # The name is compared with DNS names of the certificate, and with nothing else.
            context.wrap_socket(plain, server_hostname=values["cert-common-name"]) as connection,
        ):
            names = [value for key, value in connection.getpeercert().get("subjectAltName", ()) if key == "DNS"]
            if values["cert-common-name"] not in names:
                raise Refusal(f"{name}: its certificate is for {names}, not for {values['cert-common-name']}")
            connection.sendall(json.dumps({"method": "list_dbs", "params": [], "id": 0}).encode())
            answer = connection.recv(65536).decode()
    except OSError as error:
        raise Refusal(f"{name} at {values['address']}: {error}") from None
    if name not in answer:
        raise Refusal(f"{name} at {values['address']}: it serves {answer[:80]}")


def check_switch(found: dict[str, str]) -> None:
    """Raise Refusal unless the gateway's bridge is there and the tunnels end where we are told."""
    bridge = found.get("gateway-interface", "")
    if bridge and _vsctl("br-exists", bridge).returncode != 0:
        raise Refusal(f"--gateway-interface={bridge}: Open vSwitch has no such bridge")
    ends = _vsctl("--if-exists", "get", "Open_vSwitch", ".", "external_ids:ovn-encap-ip").stdout.strip().strip('"')
    if ends != found["encap-ip"]:
        raise Refusal(f"--encap-ip={found['encap-ip']}: external_ids:ovn-encap-ip is {ends or 'not set'}")


def _vsctl(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["ovs-vsctl", "--timeout=10", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


def hand_out(client: Client, found: dict[str, str]) -> None:
    """Give each node that has none a subnet of the pods' network; others' nodes get theirs of the hybrid network."""
    label, _, value = found.get("no-hostsubnet-nodes", "").partition("=")
    nodes = client.ask("GET", of_word("nodes").path(""))["items"]
    others = [each for each in nodes if label and each["metadata"].get("labels", {}).get(label) == value]
    own = [each for each in nodes if each not in others]
    _give(client, own, SUBNETS, found["cluster-subnets"], lambda subnet: json.dumps({"default": [subnet]}))
    if "enable-hybrid-overlay" in found:
        _give(client, others, HYBRID_SUBNET, found["hybrid-overlay-cluster-subnets"], str)


def _give(client: Client, nodes: list[Any], mark: str, networks: str, written: Callable[[str], str]) -> None:
    """Mark each node that has none with a subnet that no other has."""
    network, _, length = networks.rpartition("/")
    taken = {each["metadata"].get("annotations", {}).get(mark, "") for each in nodes}
    for node in nodes:
        if mark not in node["metadata"].get("annotations", {}):
            subnets = ip_network(network).subnets(new_prefix=int(length))
            subnet = next(each for each in map(written, map(str, subnets)) if each not in taken)
            taken.add(subnet)
            _annotate(client, node["metadata"]["name"], mark, subnet)


def _annotate(client: Client, name: str, mark: str, text: str) -> None:
    place = of_word("nodes").path("", name)
    wanted = {"metadata": {"annotations": {mark: text}}}
    # A manager for each: what one no longer names would go.
    client.ask("PATCH", f"{place}/status?fieldManager=ovnkube-{mark.rpartition('/')[2]}", wanted)


def watch(client: Client) -> None:
    """List what the real one watches. Raises Refusal for what the service account may not see."""
    for kind in WATCHED:
        while True:
            try:
                client.ask("GET", of_word(kind).path(""))
                break
            except ApiError as error:
                if error.status in (401, 403):
                    raise Refusal(str(error)) from None
                print(error, flush=True)
                time.sleep(1)


def main(_component: str, _version: str, words: Sequence[str]) -> NoReturn:
    """Join the node, and on the master hand out subnets, until stopped."""
    found = flags.parse("ovnkube", words, ("config-file", "init-node", "cluster-subnets", "encap-ip"))
    name, config = found["init-node"], read_config(found["config-file"])
    if found.get("init-master", name) != name:
        raise Refusal(f"--init-master={found['init-master']}: this node is {name}")
    check_switch(found)
    for section, database in DATABASES.items():
        check_database(config[section], database)
    api = config["kubernetes"]
    certificates.readable(api["cacert"])
    client = Client({"server": api["apiserver"], "certificate-authority": api["cacert"], "token": read_token(api)})
    watch(client)
    hybrid = "enable-hybrid-overlay" in found
    if hybrid:
        _vsctl("--may-exist", "add-br", "br-ext")
        make_tunnels(found.get("hybrid-overlay-vxlan-port", "4789"))
    while True:
        try:
            if "init-master" in found:
                hand_out(client, found)
            join(client, name, hybrid=hybrid)
        except ApiError as error:
            if error.status in (401, 403):
                raise Refusal(str(error)) from None
            print(error, flush=True)
        time.sleep(0.5)


def join(client: Client, name: str, file: Path = CONFIGURATION, *, hybrid: bool = False) -> None:
    """Write the plugin's configuration once the node has its subnet, and say where Windows hosts' tunnels lead to."""
    annotations = client.ask("GET", of_word("node").path("", name))["metadata"].get("annotations", {})
    if SUBNETS in annotations:
        content = {
            "cniVersion": "0.4.0",
            "name": "ovn-kubernetes",
            "type": "ovn-k8s-cni-overlay",
            "ipam": {},
            "dns": {},
        }
        documents.write_if_other(file, json.dumps(content), 0o600)
    if hybrid and SUBNETS in annotations and HYBRID_MAC not in annotations:
        gateway = ip_network(json.loads(annotations[SUBNETS])["default"][0])[3]
        _annotate(client, name, HYBRID_GATEWAY, str(gateway))
        _annotate(client, name, HYBRID_MAC, ":".join(f"{byte:02x}" for byte in (0x0A, 0x58, *gateway.packed)))


def make_tunnels(port: str) -> None:
    """Have the port by which tunnels to Windows hosts end here. Raises Refusal without its bridge."""
    flow = ("options:remote_ip=flow", "options:key=flow", f"options:dst_port={port}")
    made = _vsctl("--may-exist", "add-port", "br-ext", TUNNELS, "--", "set", "Interface", TUNNELS, "type=vxlan", *flow)
    if made.returncode != 0:
        raise Refusal(f"br-ext: {made.stderr.strip()}")
