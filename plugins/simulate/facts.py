"""What `gather` finds out on a simulated host: a good machine, unless a fault shows otherwise."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from plugins.simulate.api import unit_of
from plugins.simulate.state import OPEN_VSWITCH
from plugins.simulate.verbs_probe import listening

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

KERNEL = "6.12.0-simulated-amd64"
_SERVER = re.compile(r"server: \"(\S+)\"")
SOURCE = "http://mirror.simulated"


def _addresses(host: SimulatedHost) -> str:
    return f"lo 127.0.0.1/8\n{host.state.address_at} {host.state.address}/16"


def _nics(host: SimulatedHost) -> str:
    bridges = sorted(row.removeprefix("Bridge ") for row in host.state.ovs if row.startswith("Bridge "))
    nics = {"lo": 65536, host.state.nic: host.state.mtu, **dict.fromkeys(bridges, host.state.mtu)}
    managed = {host.state.nic, host.state.address_at}
    return "\n".join(f"{name} {mtu} {'networkd' if name in managed else 'none'}" for name, mtu in nics.items())


def _modules(host: SimulatedHost, *names: str) -> str:
    loaded = host.state.modules
    return "\n".join(f"{name} {'loaded' if name.replace('-', '_') in loaded else 'available'}" for name in names)


def _tools(host: SimulatedHost, *names: str) -> str:
    have = host.state.tools()
    return "\n".join(f"{name} {f'/usr/bin/{name}' if name in have else '-'}" for name in names)


def _packages(host: SimulatedHost, *wants: str) -> str:
    lines = []
    for want in wants:
        name, _, version = want.partition("=")
        have = host.state.packages.get(name, "")
        if have and fnmatchcase(have, version or "*"):
            lines.append(f"{name} installed {have}")
        else:
            lines.append(f"{name} available {host.state.candidate(version)}")
    return "\n".join(lines)


def _external_id(key: str) -> Callable[[SimulatedHost], str]:
    return lambda host: host.state.ovs.get(OPEN_VSWITCH, {}).get(f"external_ids:{key}", "")


def _clock(host: SimulatedHost) -> str:
    return str(int((time.time() + host.clock_skew) * 1_000_000))


def _installed(host: SimulatedHost, *names: str) -> str:
    return "\n".join(f"{name} {host.state.packages[name]}" for name in names if name in host.state.packages)


def _cluster_traces(host: SimulatedHost) -> str:
    kubelet = "/etc/kubernetes/kubelet.kubeconfig"
    server = _SERVER.search(host.state.files.text(kubelet) or "")
    traces = [f"{kubelet} {server[1]}"] if server else []
    if host.state.running("etcd"):
        traces.append(f"/var/lib/etcd/{unit_of(host, 'etcd').options.get('name', 'default')}/member etcd")
    return "\n".join(traces)


FACTS: dict[str, Callable[..., str]] = {
    "os_id": lambda _: "debian",
    "os_version": lambda _: "13",
    "os_name": lambda _: "Debian GNU/Linux 13 (trixie), simulated",
    "kernel": lambda _: KERNEL,
    "architecture": lambda _: "amd64",
    "systemd": lambda _: "yes",
    "machine_id": lambda host: host.state.machine_id,
    "boot_id": lambda host: host.state.boot_id,
    "hostname": lambda host: host.name,
    "cpus": lambda _: "4",
    "memory_mib": lambda _: "8192",
    "disk_free_mib": lambda _: "/ 40960\n/var 40960",
    "inodes_free": lambda _: "/ 2500000\n/var 2500000",
    "clock": _clock,
    "time_synchronised": lambda _: "yes",
    "addresses": _addresses,
    "default_nic": lambda host: host.state.address_at,
    "default_gateway": lambda _: "10.142.0.1",
    "nics": _nics,
    "listening": lambda host: "\n".join(f"{proto} {port}" for proto, port in listening(host)),
    "modules": _modules,
    "tun_device": lambda _: "yes",
    "tools": _tools,
    "system_id": _external_id("system-id"),
    "ovn_remote": _external_id("ovn-remote"),
    "ovn_encap_ip": _external_id("ovn-encap-ip"),
    "packages": _packages,
    "packages_unfinished": lambda _: "",
    "package_lock": lambda _: "",
    "swap": lambda _: "",
    "cgroup_version": lambda _: "2",
    "installed_packages": _installed,
    "nameservers": lambda _: "10.142.0.1",
    "cluster_traces": _cluster_traces,
    "package_source": lambda _, *__: f"{SOURCE} reachable",
}
