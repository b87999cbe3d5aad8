"""What `gather` finds out on a simulated Windows host: a good machine, unless a fault shows otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from plugins.simulate.verbs_facts import gather
from plugins.simulate.vocabulary import Verb
from plugins.simulate.windows.overlay import endpoint_words, make_network, unwell

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

NIC, SWITCHED, LOOPBACK = "4", "12", "1"
NIC_NAME = "Ethernet"


def _ip_nic(host: SimulatedHost) -> str:
    """Say which NIC has the address: the physical one, until the overlay's switch takes it."""
    return SWITCHED if host.state.windows_part.networks else NIC


def _addresses(host: SimulatedHost) -> str:
    return f"{_ip_nic(host)} {host.state.address}/{host.state.windows_part.prefix}\n{LOOPBACK} 127.0.0.1/8"


def _nics(host: SimulatedHost) -> str:
    names = {NIC: f"physical {NIC_NAME}", SWITCHED: f"virtual vEthernet ({NIC_NAME})"}
    there = (NIC, SWITCHED) if host.state.windows_part.networks else (NIC,)
    return "\n".join(f"{nic} {host.state.mtu} {names[nic]}" for nic in there)


def _clock(host: SimulatedHost) -> str:
    return str(int((time.time() + host.clock_skew) * 1_000_000))


def _features(host: SimulatedHost, *names: str) -> str:
    return "\n".join(f"{name} {host.state.windows_part.features[name]}" for name in names)


def _networks(host: SimulatedHost) -> str:
    make_network(host)
    return "\n".join(
        f"{name} {subnet} {host.state.address}" for name, subnet in host.state.windows_part.networks.items()
    )


def _answers(host: SimulatedHost, *urls: str) -> str:
    return "\n".join(f"{url} {unwell(host, url) or 'well'}" for url in urls)


def _endpoint(host: SimulatedHost, name: str) -> str:
    return endpoint_words(host, name)


def _scheduled(host: SimulatedHost, name: str) -> str:
    return host.state.windows_part.scheduled.get(name, "(missing)")


def _services(host: SimulatedHost, *names: str) -> str:
    known = host.state.windows_part.services
    return "\n".join(
        f"{name} {known[name].state} {known[name].start} {known[name].command}" if name in known else f"{name} -"
        for name in names
    )


FACTS: dict[str, Callable[..., str]] = {
    "os_name": lambda _: "Microsoft Windows Server, simulated",
    "os_build": lambda host: host.state.windows_part.build,
    "os_kind": lambda _: "Server Core",
    "architecture": lambda _: "amd64",
    "powershell": lambda host: f"5.1.{host.state.windows_part.build} FullLanguage",
    "machine_id": lambda host: host.state.machine_id,
    "boot_id": lambda host: host.state.boot_id,
    "hostname": lambda host: host.name,
    "cpus": lambda _: "4",
    "memory_mib": lambda _: "8191",
    "disk_free_mib": lambda _: "C: 61440",
    "clock": _clock,
    "time_synchronised": lambda _: "yes",
    "addresses": _addresses,
    "default_nic": _ip_nic,
    "default_gateway": lambda host: host.state.windows_part.gateway,
    "nics": _nics,
    "listening": lambda host: "\n".join(host.state.windows_part.listening),
    "pending_reboot": lambda host: host.state.reboot_required,
    "features": _features,
    "networks": _networks,
    "answers": _answers,
    "endpoint": _endpoint,
    "scheduled": _scheduled,
    "services": _services,
}


VERBS: dict[str, Verb] = {"gather": gather(FACTS)}
