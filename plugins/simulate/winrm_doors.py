"""What is behind the ports of simulated Windows hosts: their users, certificates and listeners."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Protocol

from cryptography import x509

from plugins.simulate.doors import WINRM_PORT
from plugins.simulate.host import Door, SimulatedHost
from plugins.simulate.winrm_auth import Users
from plugins.simulate.winrm_certificates import Certificates
from plugins.simulate.winrm_server import Listener
from plugins.simulate.winrm_session import Interpreter
from plugins.simulate.winrm_shells import Quotas, Shells

PORT = WINRM_PORT
PLAIN_PORT = 5985


class Shown(Protocol):
    """What the listeners show of themselves."""

    @property
    def authority_pem(self) -> str:
        """Give the certificate that clients are to believe."""

    def shown(self, door: Door) -> x509.Certificate:
        """Give the certificate that is shown, which logins are bound to."""

    def context(self, door: Door) -> ssl.SSLContext:
        """Give the TLS settings of a listener."""


class WinrmDoors:
    """Opens the WinRM ports of the Windows hosts of one world; shells outlive a port that closes."""

    def __init__(self, users: Users, folder: Path, interpret: Interpreter, quotas: Quotas | None = None) -> None:
        self.users, self._interpret, self._quotas = users, interpret, quotas or Quotas()
        users.publish(folder / "windows-users")
        self._shells: dict[str, Shells] = {}
        self.requests: dict[str, list[str]] = {}
        """The actions that each host has carried out, or refused with a fault."""
        self.certificates: Shown = Certificates([])

    def certify(self, addresses: list[str]) -> None:
        """Make the certificates, once the hosts' addresses are known."""
        self.certificates = Certificates(addresses)

    async def listen(self, host: SimulatedHost, door: Door, address: str, port: int = PORT) -> asyncio.Server:
        """Open one host's port; `PLAIN_PORT` is the one without TLS."""
        plain = port == PLAIN_PORT
        listener = Listener(host, self._shells_of(host), self.users, None if plain else self.certificates.shown(door))
        listener.counted.actions = self.requests.setdefault(host.name, [])
        context = None if plain else self.certificates.context(door)
        return await asyncio.start_server(listener.serve, address, port, ssl=context, limit=65536, backlog=16)

    def _shells_of(self, host: SimulatedHost) -> Shells:
        if host.name not in self._shells:
            self._shells[host.name] = Shells(host, self._interpret, self._quotas)
        return self._shells[host.name]
