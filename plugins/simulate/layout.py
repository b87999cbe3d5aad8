"""Which simulated hosts there are, and the inventory that makes the runbooks find them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import yaml

from plugins.artifacts.pins import Pins, lock_file, save_pins
from plugins.errors import UsageError
from plugins.releases import SHIPPED, Release, load_release

HOST_NETWORK = "10.142.0.0/16"
FIRST_ADDRESS = IPv4Address("10.142.0.2")
MOST = 4096  # subnets of the smallest size that the pod network holds


@dataclass(frozen=True)
class PlannedHost:
    """One host to be: `address` is its underlay address."""

    name: str
    role: str
    address: str


@dataclass(frozen=True)
class WindowsAccess:
    """How a client gets into the Windows hosts: a user, paths of its password and of the CA's certificate."""

    user: str
    password_file: Path
    ca_file: Path


@dataclass(frozen=True)
class Access:
    """How a client gets in: paths of its key or password file, and of sudo's password file where sudo asks."""

    user: str
    known_hosts: Path
    key_file: Path | None
    password_file: Path | None
    sudo_password_file: Path | None
    host_keys: str
    windows: WindowsAccess | None = None


def plan(count: int, windows: int = 0) -> list[PlannedHost]:
    """Plan `count` Linux hosts, the first of them the master, and `windows` Windows hosts more."""
    if count < 1:
        raise UsageError("--count: at least one host is needed, the master")
    if count + windows > MOST:
        raise UsageError(f"--count: at most {MOST} hosts, as the pod network has that many subnets")
    names = [("master-1", "master")]
    names += [(f"linux-{number}", "linux") for number in range(1, count)]
    names += [(f"windows-{number}", "windows") for number in range(1, windows + 1)]
    return [PlannedHost(name, role, str(FIRST_ADDRESS + number)) for number, (name, role) in enumerate(names)]


def write_inventory(
    folder: Path, hosts: list[PlannedHost], listening: Mapping[str, tuple[str, int]], access: Access
) -> None:
    """Write hosts.yaml, groups.yaml and defaults.yaml; `listening` has address and port of those with a server."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "hosts.yaml", {host.name: _host(host, listening) for host in hosts})
    _write(folder / "groups.yaml", {"master": {}, "linux": {}, "windows": _windows(access.windows)})
    _write(folder / "defaults.yaml", _defaults(len(hosts), access))
    release = load_release("current", SHIPPED)
    save_pins(made_up_pins(release), lock_file(release.name, folder), "python -m runbooks.simulate")


def made_up_pins(release: Release) -> Pins:
    """Pin every download of a release to something: simulated hosts download nothing."""
    artifacts = release.artifacts
    sources = [each.source(platform) for each in artifacts for platform in each.platforms]
    references = [each.reference for each in artifacts if each.reference]
    return Pins(
        release=release.name,
        files={source: sha256(source.encode()).hexdigest() for source in sources},
        images={reference: f"sha256:{sha256(reference.encode()).hexdigest()}" for reference in references},
    )


def _host(host: PlannedHost, listening: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    entry: dict[str, Any] = {"hostname": host.address, "groups": [host.role]}
    if host.name in listening:
        hostname, port = listening[host.name]
        entry |= {"hostname": hostname, "port": port, "data": {"address": host.address}}
    return entry


def _windows(access: WindowsAccess | None) -> dict[str, Any]:
    if access is None:
        return {}
    winrm = {"password": {"file": str(access.password_file)}, "ca_file": str(access.ca_file)}
    return {"username": access.user, "data": {"winrm": winrm}}


def _defaults(count: int, access: Access) -> dict[str, Any]:
    ssh: dict[str, Any] = {
        "known_hosts": str(access.known_hosts),
        "host_keys": access.host_keys,
        "agent": False,
        "config_file": None,
        "connect_timeout": 30.0,
    }
    if access.key_file:
        ssh["key_file"] = str(access.key_file)
    if access.password_file:
        ssh["password"] = {"file": str(access.password_file)}
    data: dict[str, Any] = {"ssh": ssh}
    if access.sudo_password_file:
        data["sudo"] = {"password": {"file": str(access.sudo_password_file)}}
    data["cluster"] = {
        "name": "simulated",
        "pod_network": "10.244.0.0/16",
        "node_prefix": _node_prefix(count),
        "service_network": "10.100.0.0/16",
        "host_network": HOST_NETWORK,
        "hybrid_network": "10.160.0.0/12",
        "dns_address": "10.100.0.10",
    }
    return {"username": access.user, "data": data}


def _node_prefix(count: int) -> int:
    """Give the prefix length of a host's pod subnet so that every host gets one of 10.244.0.0/16."""
    return max(24, 16 + (count - 1).bit_length())


def _write(file: Path, content: dict[str, Any]) -> None:
    words = "# Simulated hosts; this file is gone when they are.\n"
    file.write_text(words + yaml.safe_dump(content, sort_keys=False))
