"""SSH on nornir-netmiko's own connection, without any interactive shell.

netmiko opens a terminal and waits for a prompt; a coloured prompt or a slow profile then costs 20 seconds and
the connection. Here netmiko only builds and configures its paramiko client; scripts go through exec channels.
"""

from __future__ import annotations

import getpass
import logging
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import netmiko
import paramiko
from nornir.core.configuration import Config
from nornir_netmiko.connections.netmiko import Netmiko

from plugins.connections.base import Completed
from plugins.connections.hostkeys import HostKeyStore, UnknownHostKeyError, fingerprint, prepare
from plugins.connections.lines import LineSplitter
from plugins.errors import UnreachableError
from plugins.inventory.model import HostSettings
from plugins.secret import Secret

STDERR_KEPT = 16 * 1024  # bytes
GRACE = 20.0  # seconds that the host has to end a script that is over its deadline
# Reads and drops what sudo did not want (the password), up to a random line; then the whole script, which
# is read to its end before anything of it runs. A line cut before that runs nothing.
_RECEIVER = (
    'while IFS= read -r l; do [ "$l" = "#go-{token}" ] && {{ unset l; eval "$(cat)"; exit; }}; done; exit 97'
)

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
        self.connection = connect(
            options["settings"], options["store"], hostname or "", username or getpass.getuser(), port or 22
        )

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def connect(settings: HostSettings, store: HostKeyStore, address: str, user: str, port: int) -> SshShell:
    """Open a connection to one host; raise UnreachableError that says what to do."""
    ssh = settings.ssh
    password = ssh.password.read() if ssh.password else None
    passphrase = ssh.key_passphrase.read() if ssh.key_passphrase else None
    config = ssh.config_file
    # The two private methods that this leans on are pinned by a test.
    builder = netmiko.ConnectHandler(
        device_type="linux",
        host=address,
        username=user,
        port=port,
        password=password.reveal() if password else None,
        passphrase=passphrase.reveal() if passphrase else None,
        use_keys=ssh.key_file is None and password is None,
        key_file=str(ssh.key_file) if ssh.key_file else None,
        allow_agent=ssh.agent,
        ssh_config_file=str(config) if config else None,
        conn_timeout=ssh.connect_timeout,
        auth_timeout=ssh.connect_timeout,
        banner_timeout=ssh.connect_timeout,
        auto_connect=False,
    )
    client: paramiko.SSHClient = builder._build_ssh_client()  # noqa: SLF001
    parameters = builder._connect_params_dict()  # noqa: SLF001
    target = f"{parameters['hostname']}:{parameters['port']}"
    known_as = parameters["hostname"] if parameters["port"] == 22 else f"[{parameters['hostname']}]:{parameters['port']}"
    prepare(client, store, known_as)
    try:
        client.connect(**parameters)
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        client.close()
        seen, todo = explain(error, settings, store, target, known_as, parameters["username"])
        raise UnreachableError(settings.name, "connect", seen, todo) from None
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(15)
    sudo = settings.sudo.password.read() if settings.sudo.password else None
    return SshShell(client, settings.name, root=parameters["username"] == "root", sudo=sudo)


def explain(
    error: Exception, settings: HostSettings, store: HostKeyStore, target: str, known_as: str, user: str
) -> tuple[str, str]:
    """Say what was seen and what to do about a connection that did not come up."""
    files = ", ".join(str(file) for file in (*store.files, store.accept_into) if file)
    match error:
        case UnknownHostKeyError():
            return (
                f"the host key of {target} is not known ({fingerprint(error.key)})",
                f"compare it with the host's own and add it to {store.files[0]}, "
                "or write `ssh: {host_keys: accept-new}` into the inventory",
            )
        case paramiko.BadHostKeyException():
            return (
                f"the host key of {target} has changed: expected {fingerprint(error.expected_key)}, "
                f"got {fingerprint(error.key)}",
                f"if the host was installed anew, remove the old key with `ssh-keygen -R '{known_as}' -f FILE` ({files})",
            )
        case paramiko.PasswordRequiredException():
            return "the private key has a passphrase", "set ssh.key_passphrase, or load the key into an SSH agent"
        case paramiko.AuthenticationException():
            offered = [f"key {settings.ssh.key_file}" if settings.ssh.key_file else "", "password" if settings.ssh.password else ""]
            tried = " and ".join(filter(None, offered)) or "the agent's keys and those in ~/.ssh"
            return f"{user}@{target} refused the login with {tried}", "check username, ssh.key_file and ssh.password"
        case socket.gaierror():
            return f"the name in {target} does not resolve", "correct `hostname` in the inventory, or the resolver"
        case TimeoutError():
            return (
                f"no answer from {target} within {settings.ssh.connect_timeout:g} s",
                "is the host up, the address right, and port 22 open in the firewall?",
            )
        case paramiko.ssh_exception.NoValidConnectionsError() | OSError():
            reasons = getattr(error, "errors", {}).values() or [error]
            return f"{target}: {'; '.join(sorted({_words(one) for one in reasons}))}", "is the host up, and its SSH server?"
        case _:
            return f"{target}: {error or type(error).__name__}", "is this an SSH server?"


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class SshShell:
    """One SSH connection; each script is one exec channel (three turns: open, run, output)."""

    def __init__(self, client: paramiko.SSHClient, host: str, *, root: bool, sudo: Secret | None) -> None:
        self._client, self._host, self._root, self._sudo = client, host, root, sudo
        self._sudo_checked = False
        self._closed = threading.Event()

    def run(self, script: bytes, *, deadline: float, on_line: Callable[[bytes], None]) -> Completed:
        """Run `script` as root (see Shell)."""
        self._check_sudo()
        try:
            channel = self._start(script, int(deadline))
            channel.shutdown_write()
        except (paramiko.SSHException, OSError, EOFError) as error:
            return Completed(None, lost=f"the connection was lost while the script was sent ({_words(error)})")
        with channel:
            return self._read(channel, time.monotonic() + deadline + GRACE, on_line)

    def hold(self, script: bytes, *, on_line: Callable[[bytes], None]) -> SshHolder:
        """Start a script that reads beats from its input for as long as it is held (see Shell)."""
        self._check_sudo()
        try:
            return SshHolder(self._start(script, None), on_line)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise UnreachableError(self._host, "connect", f"the connection was lost ({_words(error)})", "run again") from None

    def _start(self, script: bytes, limit: int | None) -> paramiko.Channel:
        token = secrets.token_hex(16)
        receiver = _RECEIVER.format(token=token)
        if limit is None:  # the script comes as one line, and its input goes on behind it
            receiver = receiver.replace('eval "$(cat)"', 'IFS= read -r l && eval "$(printf %s "$l" | base64 -d)"')
        bounded = f"timeout -k 10 {limit} bash -c '{receiver}'" if limit is not None else f"bash -c '{receiver}'"
        escalate = "" if self._root else "sudo -n " if self._sudo is None else "sudo -S -p '' "
        channel = self._open()
        channel.exec_command(f"exec {escalate}{bounded}")
        secret = self._sudo.reveal().encode() + b"\n" if self._sudo and not self._root else b""
        channel.sendall(secret + f"#go-{token}\n".encode() + script)
        return channel

    def _open(self) -> paramiko.Channel:
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            raise EOFError("the connection is closed")
        return transport.open_session(timeout=30)

    def _check_sudo(self) -> None:
        """Try the sudo password once for each connection, alone, so that a wrong one is one attempt.

        sudo would otherwise take lines of the script as its second and third try and lock the account.
        """
        if self._root or self._sudo is None or self._sudo_checked:
            return
        try:
            with self._open() as channel:
                channel.exec_command("exec sudo -k -S -p '' true")
                channel.sendall(self._sudo.reveal().encode() + b"\n")
                channel.shutdown_write()
                done = self._read(channel, time.monotonic() + 60, lambda _: None)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise UnreachableError(self._host, "sudo", f"the connection was lost ({_words(error)})", "run again") from None
        if done.exit_status != 0:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            raise UnreachableError(
                self._host,
                "sudo",
                f"sudo refused: {words[-1] if words else done.lost or 'it said nothing'}",
                "check sudo.password, and that the user may use sudo without a terminal (requiretty off)",
            )
        self._sudo_checked = True

    def _read(self, channel: paramiko.Channel, until: float, on_line: Callable[[bytes], None]) -> Completed:
        """Read both streams until the exit status is there and no more output comes.

        A daemon that inherited the output keeps the channel open long after the script's end, so the end of
        output is not waited for once the status is known.
        """
        out, errors = LineSplitter(on_line), bytearray()
        poll = select.poll()
        poll.register(channel.fileno(), select.POLLIN)
        while True:
            quiet = not poll.poll(500)
            while channel.recv_ready():
                out.feed(channel.recv(65536))
                quiet = False
            while channel.recv_stderr_ready():
                errors += channel.recv_stderr(65536)
                del errors[:-STDERR_KEPT]
                quiet = False
            if channel.eof_received:  # the descriptor stays readable from here on: wait for the status instead
                channel.status_event.wait(0.5)
            done = channel.exit_status_ready()
            if done and (quiet or channel.eof_received) and not channel.recv_ready() and not channel.recv_stderr_ready():
                out.end()
                return self._completed(channel, bytes(errors))
            if time.monotonic() > until:
                return Completed(None, bytes(errors), "it was not over by its deadline and the host did not end it")

    def _completed(self, channel: paramiko.Channel, errors: bytes) -> Completed:
        status = channel.recv_exit_status()
        if status >= 0:
            return Completed(status, errors)
        why = "it was closed here" if self._closed.is_set() else "the host or the network dropped it"
        return Completed(None, errors, f"the connection was lost ({why})")

    def close(self) -> None:
        """Close the connection and end whoever waits on it."""
        self._closed.set()
        self._client.close()


class SshHolder:
    """A channel whose script lives from beat to beat; one that hears none for a while lets go by itself."""

    def __init__(self, channel: paramiko.Channel, on_line: Callable[[bytes], None]) -> None:
        self._channel = channel
        self._reader = threading.Thread(target=self._pump, args=(LineSplitter(on_line),), daemon=True)
        self._reader.start()

    def _pump(self, lines: LineSplitter) -> None:
        while data := self._channel.recv(65536):
            lines.feed(data)
        lines.end()

    def beat(self) -> bool:
        """Send one beat."""
        try:
            self._channel.sendall(b"\n")
        except OSError:
            return False
        return not self._channel.exit_status_ready()

    def close(self) -> None:
        """End the script's input and wait shortly for its end."""
        try:
            self._channel.shutdown_write()
        except OSError:
            pass
        self._reader.join(timeout=2)
        self._channel.close()
