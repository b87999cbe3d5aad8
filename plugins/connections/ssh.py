"""SSH on nornir-netmiko's own connection, without any interactive shell.

netmiko opens a terminal and waits for a prompt; a coloured prompt or a slow profile then costs 20 seconds and
the connection. Here netmiko only builds and configures its paramiko client; scripts go through exec channels.
"""

from __future__ import annotations

import logging
from typing import Any

from plugins.connections import slim_paramiko as _first  # noqa: F401  # isort: skip  # before paramiko itself

import netmiko
import paramiko
from nornir.core.configuration import Config
from nornir_netmiko.connections.netmiko import Netmiko

from plugins.connections.hostkeys import HostKeyStore, prepare
from plugins.connections.prompt_socket import IDLE, PromptSocket
from plugins.connections.ssh_config import CONFIG_ERRORS, check_config, configured
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
    parameters = builder._connect_params_dict() | _more(settings, address, user, port)  # noqa: SLF001
    target = f"{parameters['hostname']}:{parameters['port']}"
    known_as = parameters["hostname"] if parameters["port"] == 22 else f"[{target.replace(':', ']:')}"
    prepare(client, store, known_as)
    try:
        client.connect(**parameters, transport_factory=_prompt)
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        cause = cause_of(error, client)
        client.close()
        seen, todo = explain(cause, settings, store, target, known_as, parameters["username"])
        failure = BusyError if isinstance(cause, TurnedAwayError) else UnreachableError
        raise failure(settings.name, "connect", seen, todo) from None
    except UsageError:
        client.close()
        raise
    if transport := client.get_transport():
        transport.set_keepalive(15)
        transport.sock.settimeout(IDLE)
    sudo = settings.sudo.password.read() if settings.sudo.password else None
    return SshShell(client, settings.name, root=parameters["username"] == "root", sudo=sudo)


def _more(settings: HostSettings, address: str, user: str, port: int) -> dict[str, Any]:
    """Give what paramiko connects with beside what netmiko makes of the settings."""
    ssh = settings.ssh
    # netmiko's own use_keys wants a key file beside it.
    more: dict[str, Any] = {"look_for_keys": ssh.key_file is None and ssh.password is None, "username": user}
    if ssh.config_file is not None:
        try:
            more |= configured(ssh.config_file, address, port, user)
        except CONFIG_ERRORS as error:
            check_config(ssh.config_file)
            todo = "correct what it says of this host, or write `ssh: {config_file: null}` into the inventory"
            raise UnreachableError(settings.name, "connect", f"{ssh.config_file}: {words(error)}", todo) from None
    return more | {"username": more["username"] or login_name()}


def _prompt(sock: Any, **options: Any) -> paramiko.Transport:
    """Make paramiko's transport on a prompt socket."""
    if not isinstance(sock, PromptSocket):
        timeout = sock.gettimeout()
        sock = PromptSocket(fileno=sock.detach())
        sock.settimeout(timeout)
    return paramiko.Transport(sock, **options)
