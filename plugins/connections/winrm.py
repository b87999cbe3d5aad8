"""WinRM on pywinrm's own Protocol: one login and one shell a host and run, TLS verified unless written otherwise."""

from __future__ import annotations

from typing import Any

from nornir.core.configuration import Config

from plugins.connections.winrm_login import Login
from plugins.connections.winrm_shell import WinrmShell
from plugins.inventory.model import HostSettings
from plugins.login_name import login_name


class Winrm:
    """Nornir connection plugin; its connection is a WinrmShell."""

    connection: WinrmShell

    def open(
        self,
        hostname: str | None,
        username: str | None,
        password: str | None,  # noqa: ARG002  # passwords come from winrm.password alone
        port: int | None,
        platform: str | None,  # noqa: ARG002
        extras: dict[str, Any] | None = None,
        configuration: Config | None = None,  # noqa: ARG002
    ) -> None:
        """Connect, log in and open a shell. `extras` holds `settings` (HostSettings). Raises UnreachableError."""
        settings: HostSettings = (extras or {})["settings"]
        winrm = settings.winrm
        self.connection = WinrmShell(
            Login(
                host=settings.name,
                address=hostname or "",
                port=port or winrm.default_port,
                user=username or login_name(),
                settings=winrm,
                password=winrm.password.read() if winrm.password else None,
            )
        )

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
