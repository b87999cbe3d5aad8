"""How a host is doing, and waiting until it is up."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path

from plugins.errors import HostError, RunbookError
from plugins.lab.commands import tail
from plugins.lab.host import HostFolder
from plugins.lab.inside import run_inside
from plugins.lab.options import LabHost


class Power(StrEnum):
    """What a host's own systemd says about it, or why it says nothing."""

    RUNNING = "running"
    DEGRADED = "degraded"
    STARTING = "starting"
    STOPPING = "stopping"
    OFF = "off"
    MISSING = "missing"


UP = (Power.RUNNING, Power.DEGRADED)


@dataclass(frozen=True)
class HostState:
    """One host as it is now. `since`: its last boot. `failed`: units that systemd counts as failed."""

    host: LabHost
    power: Power
    since: datetime | None = None
    ssh: bool = False
    boots: int = 0
    failed: tuple[str, ...] = ()

    @property
    def up(self) -> bool:
        """Whether a runbook can work with it."""
        return self.power in UP and self.ssh


def look(folder: Path, host: LabHost) -> HostState:
    """Look at a host; never raises for a host that is off, broken or not there."""
    place = HostFolder(folder / "hosts" / host.name)
    if place.read_spec() is None:
        return HostState(host, Power.MISSING)
    run = place.read_run()
    since = datetime.fromtimestamp(run.started, UTC) if run.started else None
    if not place.is_supervised():
        return HostState(host, Power.OFF, None, boots=run.boots)
    power = _power(folder, host.name)
    failed = _failed(folder, host.name) if power is Power.DEGRADED else ()
    return HostState(host, power, since, answers_ssh(host.address), run.boots, failed)


def not_up(place: HostFolder, state: HostState) -> HostError:
    """Why a host is not up, with its console's last lines."""
    console = place.console.read_text(errors="replace") if place.console.exists() else ""
    seen = (
        f"{state.power} ({place.read_run().ended or 'not ended'}), ssh {'answers' if state.ssh else 'does not answer'}"
    )
    return HostError(place.name, "boot", f"{seen}\n{tail(console)}", f"console: {place.console}")


def answers_ssh(address: IPv4Address, timeout: float = 1.0) -> bool:
    """Whether an SSH server greets at the address."""
    try:
        with socket.create_connection((str(address), 22), timeout=timeout) as connection:
            connection.settimeout(timeout)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _power(folder: Path, name: str) -> Power:
    try:
        answer = run_inside(folder, name, ["systemctl", "is-system-running"], check=False, timeout=10).stdout.strip()
    except RunbookError:
        return Power.STARTING
    words = {power.value: power for power in Power}
    return words.get(answer, Power.STARTING)


def _failed(folder: Path, name: str) -> tuple[str, ...]:
    list_failed = ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend"]
    lines = run_inside(folder, name, list_failed, check=False, timeout=10).stdout.splitlines()
    return tuple(line.split()[0] for line in lines if line.strip())
