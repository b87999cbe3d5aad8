"""A real cluster's worth of hosts on this machine: systemd-nspawn containers with their own systemd, sshd and apt."""

from plugins.lab.inside import fingerprint, full_disk, power_cycle, run_in_network, run_inside, unplugged
from plugins.lab.lab import down, status, up
from plugins.lab.options import LabHost, LabOptions
from plugins.lab.ready import HostState, Power
from plugins.lab.state import LabState, read_state

__all__ = [
    "HostState",
    "LabHost",
    "LabOptions",
    "LabState",
    "Power",
    "down",
    "fingerprint",
    "full_disk",
    "power_cycle",
    "read_state",
    "run_in_network",
    "run_inside",
    "status",
    "unplugged",
    "up",
]
