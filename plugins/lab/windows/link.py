"""The network of a simulated Windows host, from inside its namespace: its NIC, as the host's own system has it."""

from __future__ import annotations

import time
from pathlib import Path

from plugins.errors import RunbookError
from plugins.lab.commands import run

NIC = "eth0"
NIC_SECONDS = 15


def set_up_nic(address: str, gateway: str) -> None:
    """Await the cable, and give the NIC its address (ADDRESS/PREFIX) and the way out. Raises RunbookError."""
    until = time.monotonic() + NIC_SECONDS
    while not Path("/sys/class/net", NIC).exists():
        if time.monotonic() > until:
            raise RunbookError(f"no {NIC} within {NIC_SECONDS} s")
        time.sleep(0.02)
    run(["ip", "link", "set", "lo", "up"])
    run(["ip", "address", "replace", address, "dev", NIC])
    run(["ip", "link", "set", NIC, "up"])
    run(["ip", "route", "replace", "default", "via", gateway])
    # A userspace switch in a Linux host takes packets as they are: their checksums must be whole.
    run(["ethtool", "--offload", NIC, "tx", "off"], check=False)
