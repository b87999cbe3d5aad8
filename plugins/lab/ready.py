"""How a host is doing, and waiting until it is up."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path

from plugins.errors import HostError, RunbookError
from plugins.lab.commands import tail
from plugins.lab.host import HostFolder
from plugins.lab.inside import run_inside
from plugins.lab.options import LabHost, LabPaths


class Power(StrEnum):
    """What a host's own systemd says about it, or why it says nothing."""

    RUNNING = "running"
    DEGRADED = "degraded"
    STARTING = "starting"
    STOPPING = "stopping"
    OFF = "off"
    MISSING = "missing"


WINRM_PORT = 5986
UP = (Power.RUNNING, Power.DEGRADED)


@dataclass(frozen=True)
class HostState:
    """One host as it is now. `since`: its last boot. `failed`: units that systemd counts as failed.

    `answers`: whether its SSH server greets, or that of WinRM; None where it was not asked.
    """

    host: LabHost
    power: Power
    since: datetime | None = None
    answers: bool | None = None
    boots: int = 0
    failed: tuple[str, ...] = ()

    @property
    def up(self) -> bool:
        """Whether a runbook can work with it."""
        return self.power in UP and self.answers is True


def look(folder: Path, host: LabHost) -> HostState:
    """Look at a host; never raises for a host that is off, broken or not there."""
    place = HostFolder(folder / "hosts" / host.name)
    if place.read_spec() is None:
        return HostState(host, Power.MISSING)
    run = place.read_run()
    since = datetime.fromtimestamp(run.started, UTC) if run.started else None
    if not place.is_supervised():
        return HostState(host, Power.OFF, None, boots=run.boots)
    if host.windows:
        greets = answers_winrm(host.address, LabPaths(folder).windows_ca)
        return HostState(host, Power.RUNNING if greets else Power.STARTING, since, greets, run.boots)
    power = _power(folder, host.name)
    failed = _failed(folder, host.name) if power is Power.DEGRADED else ()
    # A greeting that nobody follows with a login counts against this machine at the host's sshd, which turns it away
    # for 15 s once there are as many in a row (PerSourcePenalties): no greeting is asked for while the host boots.
    answers = answers_ssh(host.address) if power in UP else None
    return HostState(host, power, since, answers, run.boots, failed)


def not_up(place: HostFolder, state: HostState) -> HostError:
    """Why a host is not up, with its console's last lines."""
    console = place.console.read_text(errors="replace") if place.console.exists() else ""
    door, ended = "winrm" if state.host.windows else "ssh", place.read_run().ended or "not ended"
    answer = {True: f", {door} answers", False: f", {door} does not answer", None: ""}[state.answers]
    seen = f"{state.power} ({ended}){answer}"
    return HostError(place.name, "boot", f"{seen}\n{tail(console)}", f"console: {place.console}")


def answers_ssh(address: IPv4Address, timeout: float = 1.0) -> bool:
    """Whether an SSH server greets at the address."""
    try:
        with socket.create_connection((str(address), 22), timeout=timeout) as connection:
            connection.settimeout(timeout)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def answers_winrm(address: IPv4Address, ca_file: Path, timeout: float = 1.0) -> bool:
    """Whether a WinRM service at the address asks for a login, with a certificate of the CA in `ca_file`."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
        connection = http.client.HTTPSConnection(str(address), WINRM_PORT, timeout=timeout, context=context)
        with contextlib.closing(connection):
            connection.request("POST", "/wsman")
            return connection.getresponse().status == http.client.UNAUTHORIZED
    except (OSError, http.client.HTTPException):
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
