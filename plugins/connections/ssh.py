"""SSH on nornir-netmiko's own connection, without any interactive shell.

netmiko opens a terminal and waits for a prompt; a coloured prompt or a slow profile then costs 20 seconds and
the connection. Here netmiko only builds and configures its paramiko client; scripts go through exec channels.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from plugins.connections import slim_paramiko as _first  # noqa: F401  # isort: skip  # before paramiko itself

import netmiko
import paramiko
from nornir.core.configuration import Config
from nornir_netmiko.connections.netmiko import Netmiko

from plugins.connections.hostkeys import HostKeyStore, prepare
from plugins.connections.prompt_socket import IDLE, PromptSocket
from plugins.connections.proxy_command import ProxyCommand
from plugins.connections.ssh_config import CONFIG_ERRORS, Way, check_config, configured
from plugins.connections.ssh_errors import TurnedAwayError, cause_of, explain
from plugins.connections.ssh_shell import SshShell, words
from plugins.errors import BusyError, UnreachableError, UsageError
from plugins.inventory.model import HostSettings
from plugins.login_name import login_name

# Without a handler of its own paramiko prints tracebacks to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class Ssh(Netmiko):  # type: ignore[misc]  # nornir-netmiko is untyped
    """Nornir connection plugin; its connection is an SshShell."""

    def open(
        self,
        hostname: str | None,
        username: str | None,
        password: str | None,  # noqa: ARG002  # passwords come from ssh.password alone
        port: int | None,
        platform: str | None,  # noqa: ARG002
        extras: dict[str, Any] | None = None,
        configuration: Config | None = None,  # noqa: ARG002
    ) -> None:
        """Connect and log in. `extras` holds `settings` (HostSettings) and `store` (HostKeyStore)."""
        options = extras or {}
        self.connection = connect(options["settings"], options["store"], hostname or "", username or "", port or 22)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def connect(settings: HostSettings, store: HostKeyStore, address: str, user: str, port: int) -> SshShell:
    """Open a connection to one host; raise UnreachableError that says what to do, UsageError for a wrong file here.

    Without a `user` it is that of the SSH configuration, or else whoever runs this.
    """
    ssh = settings.ssh
    password = ssh.password.read() if ssh.password else None
    passphrase = ssh.key_passphrase.read() if ssh.key_passphrase else None
    sudo = settings.sudo.password.read() if settings.sudo.password else None
    # The two private methods that this leans on are pinned by a test.
    builder = netmiko.ConnectHandler(
        device_type="linux",
        host=address,
        username=user,
        port=port,
        password=password.reveal() if password else None,
        passphrase=passphrase.reveal() if passphrase else None,
        key_file=str(ssh.key_file) if ssh.key_file else None,
        allow_agent=ssh.agent,
        conn_timeout=ssh.connect_timeout,
        auth_timeout=ssh.connect_timeout,
        banner_timeout=ssh.connect_timeout,
        auto_connect=False,
    )
    client: paramiko.SSHClient = builder._build_ssh_client()  # noqa: SLF001
    way = _way(settings, address, user, port)
    parameters = builder._connect_params_dict() | {  # noqa: SLF001
        "hostname": way.hostname,
        "port": way.port,
        "username": way.user,
        # netmiko's own use_keys wants a key file beside it.
        "look_for_keys": ssh.key_file is None and ssh.password is None,
    }
    prepare(client, store, way.known_as)
    try:
        client.connect(**parameters | _through(way, settings), transport_factory=_prompt)
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        cause = cause_of(error, client)
        client.close()
        failure = BusyError if isinstance(cause, TurnedAwayError) else UnreachableError
        raise failure(settings.name, "connect", *explain(cause, settings, store, way)) from None
    except UsageError:
        client.close()
        raise
    if transport := client.get_transport():
        transport.set_keepalive(15)
        transport.sock.settimeout(IDLE)
    return SshShell(client, settings.name, root=way.user == "root", sudo=sudo)


def _way(settings: HostSettings, address: str, user: str, port: int) -> Way:
    """Say how the host is reached, by the SSH configuration where there is one."""
    way, file = Way(address, port, user), settings.ssh.config_file
    if file is not None:
        try:
            way = configured(file, address, port, user)
        except CONFIG_ERRORS as error:
            check_config(file)
            todo = "correct what it says of this host, or write `ssh: {config_file: null}` into the inventory"
            raise UnreachableError(settings.name, "connect", f"{file}: {words(error)}", todo) from None
    return replace(way, user=way.user or login_name())


def _through(way: Way, settings: HostSettings) -> dict[str, Any]:
    """Start the command that the host is reached through, if there is one."""
    try:
        return {"sock": ProxyCommand(way.proxy)} if way.proxy else {}
    except OSError as error:
        seen = f"{way.target}: the proxy command of the SSH configuration cannot be started ({words(error)})"
        raise UnreachableError(
            settings.name, "connect", seen, "see that this machine is well, then run again"
        ) from None


def _prompt(sock: Any, **options: Any) -> paramiko.Transport:
    """Make paramiko's transport on a prompt socket."""
    if not isinstance(sock, PromptSocket):
        timeout = sock.gettimeout()
        sock = PromptSocket(fileno=sock.detach())
        sock.settimeout(timeout)
    return paramiko.Transport(sock, **options)
