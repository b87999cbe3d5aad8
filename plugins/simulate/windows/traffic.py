"""Packets between simulated Windows hosts and pods of other nodes: whether they would come through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.simulate.nodes import pod_at, pod_mtu
from plugins.simulate.units import UnitFile, read_unit
from plugins.simulate.windows.nodes import options_of
from plugins.windows import HYBRID_OVERLAY, OVERLAY

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

TUNNELS = "hybrid-overlay-vxlan-port"
OVERHEAD = 50  # bytes of a VXLAN tunnel


def end_at(host: SimulatedHost, address: str) -> SimulatedHost | None:
    """Find the host whose temporary pod, or own endpoint, has an address."""
    for each in host.world.hosts.values():
        if each.state.windows is not None and any(
            words.startswith(f"{address} ") for words in each.state.windows.endpoints.values()
        ):
            return each
    linux = next((each for each in host.world.hosts.values() if each.state.windows is None), None)
    return pod_at(linux, address) if linux is not None else None


def mtu_of(host: SimulatedHost) -> int:
    """Give the MTU of a host's end, in bytes."""
    return pod_mtu(host) if host.state.windows is None else host.state.mtu - OVERHEAD


def reaches(one: SimulatedHost, other: SimulatedHost, size: int) -> bool:
    """Whether a packet gets from one to the other and back, over tunnels of which one end is a Windows host's."""
    if size > min(mtu_of(one), mtu_of(other)):
        return False
    return all(_tunnels(end) and not end.blocked("udp", int(_tunnels(end))) for end in (one, other))


def _tunnels(host: SimulatedHost) -> str:
    """Give the port of a host's tunnels; empty where it has none."""
    if host.state.windows is None:
        switches = (read_unit(host.state.files, "ovnkube") or UnitFile()).options
        return switches.get(TUNNELS, "") if host.well("ovnkube") else ""
    options = options_of(host, HYBRID_OVERLAY) if host.up else None
    return options[TUNNELS] if options is not None and OVERLAY in host.state.windows.networks else ""
