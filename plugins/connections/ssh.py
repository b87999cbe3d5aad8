"""SSH on nornir-netmiko's own connection, without any interactive shell.

netmiko opens a terminal and waits for a prompt; a coloured prompt or a slow profile then costs 20 seconds and
the connection. Here netmiko only builds and configures its paramiko client; scripts go through exec channels.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import Any

from plugins.connections.slim_paramiko import allow_match_exec  # isort: skip  # before paramiko itself

import netmiko
import paramiko
from nornir.core.configuration import Config
from nornir_netmiko.connections.netmiko import Netmiko

from plugins.connections.hostkeys import HostKeyStore, UnknownHostKeyError, fingerprint, prepare
from plugins.connections.ssh_config import CONFIG_ERRORS, check_config
from plugins.connections.ssh_shell import SshShell, words
from plugins.errors import UnreachableError, UsageError
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
    config = ssh.config_file
    if config is not None:
        allow_match_exec()
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
        ssh_config_file=str(config) if config else None,
        conn_timeout=ssh.connect_timeout,
        auth_timeout=ssh.connect_timeout,
        banner_timeout=ssh.connect_timeout,
        auto_connect=False,
    )
    client: paramiko.SSHClient = builder._build_ssh_client()  # noqa: SLF001
    parameters = _parameters(builder, settings)
    target = f"{parameters['hostname']}:{parameters['port']}"
    known_as = parameters["hostname"] if parameters["port"] == 22 else f"[{target.replace(':', ']:')}"
    prepare(client, store, known_as)
    try:
        client.connect(**parameters, transport_factory=_prompt)
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        cause = _of_login(error, client)
        client.close()
        seen, todo = explain(cause, settings, store, target, known_as, parameters["username"])
        raise UnreachableError(settings.name, "connect", seen, todo) from None
    except UsageError:
        client.close()
        raise
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(15)
        if isinstance(transport.sock, _PromptSocket):
            transport.sock.settimeout(_IDLE)
    sudo = settings.sudo.password.read() if settings.sudo.password else None
    return SshShell(client, settings.name, root=parameters["username"] == "root", sudo=sudo)


def _parameters(builder: Any, settings: HostSettings) -> dict[str, Any]:
    """Give what paramiko connects with: what netmiko makes of the settings and the SSH configuration, and the rest."""
    ssh = settings.ssh
    try:
        parameters: dict[str, Any] = builder._connect_params_dict()  # noqa: SLF001
    except CONFIG_ERRORS as error:
        check_config(ssh.config_file)
        todo = "correct what it says of this host, or write `ssh: {config_file: null}` into the inventory"
        raise UnreachableError(settings.name, "connect", f"{ssh.config_file}: {words(error)}", todo) from None
    # netmiko's own use_keys wants a key file beside it.
    parameters["look_for_keys"] = ssh.key_file is None and ssh.password is None
    parameters["username"] = parameters["username"] or login_name()
    return parameters


# Seconds that paramiko's thread of a connection waits for a packet before it looks at its keep-alive. Its own tenth
# of a second has 1,000 idle connections wake 10,000 times a second, each time for the interpreter's lock.
_IDLE = 3.0

# Only Linux has it; elsewhere the one pause stays.
_QUICK_ACK: int = getattr(socket, "TCP_QUICKACK", socket.TCP_NODELAY)


# Bytes. Memory that is taken anew for each read, and mostly given back, was 150 MB in pieces at 1,000 hosts.
_AHEAD = 4096


class _PromptSocket(socket.socket):
    """A socket on which neither side waits for the other's acknowledgement, and one read takes all that is there.

    paramiko reads a packet in two pieces, and a script's answer is half a dozen packets that come as one: reading
    ahead saves the rest of the calls, at each of which another thread takes the interpreter's lock.

    Nagle's algorithm and delayed acknowledgements together cost a login and its first channel three pauses of
    40 ms. OpenSSH's server switches Nagle's algorithm off only once a session runs, so its share of them goes
    only where each piece that it sends is acknowledged at once.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ahead, self._place, self._end = memoryview(bytearray(_AHEAD)), 0, 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Give at most `size` bytes."""
        if self._place == self._end:
            self._place, self._end = 0, self.recv_into(self._ahead, flags=flags)
            self.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)  # holds for a few packets only, hence each time
        data = bytes(self._ahead[self._place : min(self._place + size, self._end)])
        self._place += len(data)
        return data

    def close(self) -> None:
        """Close it, and wake the thread that waits for its next packet."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        super().close()


class _NoKeyError(paramiko.SSHException):
    """The server waits for a login, and there is nothing here to log in with."""


def _of_login(error: Exception, client: paramiko.SSHClient) -> Exception:
    """Tell keys that are not there, or cannot be read, from a server that is none: paramiko has one type for both."""
    transport = client.get_transport()
    waiting = transport is not None and transport.is_active() and transport.initial_kex_done
    known = (UnknownHostKeyError, paramiko.BadHostKeyException, paramiko.AuthenticationException)
    return _NoKeyError(words(error)) if waiting and not isinstance(error, known) else error


def _prompt(sock: Any, **options: Any) -> paramiko.Transport:
    """Make paramiko's transport on a prompt socket; a proxy command is none."""
    if isinstance(sock, socket.socket):
        timeout = sock.gettimeout()
        sock = _PromptSocket(fileno=sock.detach())
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return paramiko.Transport(sock, **options)


def explain(
    error: Exception, settings: HostSettings, store: HostKeyStore, target: str, known_as: str, user: str
) -> tuple[str, str]:
    """Say what was seen and what to do about a connection that did not come up."""
    files = ", ".join(str(file) for file in (*store.files, store.accept_into) if file)
    match error:
        case UnknownHostKeyError():
            seen = f"the host key of {target} is not known ({fingerprint(error.key)})"
            how = f"compare it with the host's own and add it to {store.files[0]}"
            return seen, f"{how}, or write `ssh: {{host_keys: accept-new}}` into the inventory"
        case paramiko.BadHostKeyException():
            expected, got = fingerprint(error.expected_key), fingerprint(error.key)
            seen = f"the host key of {target} has changed: expected {expected}, got {got}"
            how = f"remove the old key with `ssh-keygen -R '{known_as}' -f FILE` ({files})"
            return seen, f"if the host was installed anew, {how}"
        case paramiko.PasswordRequiredException():
            return "the private key has a passphrase", "set ssh.key_passphrase, or load the key into an SSH agent"
        case paramiko.AuthenticationException():
            return f"{user}@{target} refused the login with {_offered(settings)}", (
                "check username, ssh.key_file and ssh.password"
            )
        case _NoKeyError():
            seen = f"nothing to log in with at {target} as {user}: {_offered(settings)} ({error})"
            return seen, "check ssh.key_file, load a key into the SSH agent, or give ssh.password"
        case socket.gaierror():
            return f"the name in {target} does not resolve", "correct `hostname` in the inventory, or the resolver"
        case TimeoutError():
            seen = f"no answer from {target} within {settings.ssh.connect_timeout:g} s"
            return seen, "is the host up, the address right, and the port open in the firewall?"
        case paramiko.ssh_exception.NoValidConnectionsError() | OSError():
            reasons = getattr(error, "errors", {}).values() or [error]
            seen = f"{target}: {'; '.join(sorted({words(one) for one in reasons}))}"
            return seen, "is the host up, and its SSH server?"
        case _:
            return f"{target}: {words(error)}", "is this an SSH server?"


def _offered(settings: HostSettings) -> str:
    key = f"key {settings.ssh.key_file}" if settings.ssh.key_file else ""
    password = "the password" if settings.ssh.password else ""
    return " and ".join(filter(None, [key, password])) or "the agent's keys and those in ~/.ssh"
