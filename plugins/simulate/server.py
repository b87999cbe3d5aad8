"""SSH servers of simulated hosts: one listening address for each, all in one event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import asyncssh

from plugins.simulate.drive import Drive, heard
from plugins.simulate.host import SimulatedHost
from plugins.simulate.session import session

SMALL_WINDOW = 4096  # bytes, so that a client is still sending when its line is cut


@dataclass(frozen=True)
class Logins:
    """Who may log in as what: the public key of `users`, or the password."""

    users: tuple[str, ...]
    key: str
    password: str | None


class Exec(asyncssh.SSHServerSession[bytes]):
    """One exec channel."""

    def __init__(self, host: SimulatedHost, user: str, connection: Connection) -> None:
        self._host, self._user, self._connection = host, user, connection
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._drive: Drive | None = None
        self._command = ""
        self._status: int | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Hook of asyncssh."""
        self._channel = chan
        chan.set_write_buffer_limits(0)  # so that resume_writing tells that all is sent

    def exec_requested(self, command: str) -> bool:
        """Hook of asyncssh; a shell, a terminal or a subsystem is refused by not being asked for."""
        self._command = command
        return True

    def session_started(self) -> None:
        """Hook of asyncssh."""
        self._drive = Drive(self._host, session(self._host, self._user, self._command), self)

    def data_received(self, data: bytes, datatype: int | None) -> None:  # noqa: ARG002
        """Hook of asyncssh."""
        if self._drive is not None:
            self._drive.input.feed(data)

    def eof_received(self) -> bool:
        """Hook of asyncssh; true keeps the other direction open."""
        if self._drive is not None:
            self._drive.input.end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Hook of asyncssh: the script's input ends, the script goes on."""
        self._channel = None
        if self._drive is not None:
            self._drive.input.end()

    def say(self, data: bytes) -> None:
        """Wire."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data)

    def complain(self, data: bytes) -> None:
        """Wire."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write_stderr(data)

    def finish(self, status: int) -> None:
        """Wire: the status goes out after all output, and after its end, as OpenSSH has it."""
        self._status = status
        if self._channel is not None and not self._channel.get_write_buffer_size():
            self._exit()

    def resume_writing(self) -> None:
        """Hook of asyncssh: the client has taken all."""
        if self._status is not None:
            asyncio.get_running_loop().call_soon(self._exit)

    def _exit(self) -> None:
        if self._channel is not None and self._status is not None and not self._channel.is_closing():
            self._channel.write_eof()
            self._channel.exit(self._status)

    def drop(self) -> None:
        """Wire."""
        self._connection.drop()


class Connection(asyncssh.SSHServer):
    """One client's connection to one host."""

    def __init__(self, host: SimulatedHost, logins: Logins) -> None:
        self._host, self._logins = host, logins
        self._connection: asyncssh.SSHServerConnection | None = None
        self._user = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Hook of asyncssh."""
        self._connection = conn
        self._host.state.counters.connections += 1
        self._host.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Hook of asyncssh."""
        self._connection = None
        self._host.connections.discard(self)

    def drop(self) -> None:
        """Cut it without a word."""
        if self._connection is not None:
            self._connection.abort()

    async def begin_auth(self, username: str) -> bool:
        """Hook of asyncssh: nobody comes in without a key or a password."""
        self._user = username
        await heard(self._host)
        return True

    def public_key_auth_supported(self) -> bool:
        """Hook of asyncssh."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Hook of asyncssh."""
        shown = key.export_public_key("openssh").decode().split()[1]
        return self._admit(username, right=shown == self._logins.key.split()[1])

    def password_auth_supported(self) -> bool:
        """Hook of asyncssh."""
        return self._logins.password is not None

    def validate_password(self, username: str, password: str) -> bool:
        """Hook of asyncssh."""
        return self._admit(username, right=password == self._logins.password)

    def _admit(self, user: str, *, right: bool) -> bool:
        admitted = right and user in self._logins.users and not self._host.strike(("refuse-login",))
        self._host.state.counters.refused_logins += not admitted
        return admitted

    def auth_completed(self) -> None:
        """Hook of asyncssh."""
        self._host.state.counters.logins += 1

    def session_requested(self) -> Any:  # a session, with or without a channel of its own
        """Hook of asyncssh."""
        found = Exec(self._host, self._user, self)
        if self._connection is None or not any(self._host.world.faults.of(self._host.name, ("cut-sending",))):
            return found
        return self._connection.create_server_channel(None, window=SMALL_WINDOW, max_pktsize=SMALL_WINDOW), found


class Silent(asyncio.Protocol):
    """Accepts, and says nothing."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hook of asyncio."""
        self._transport = transport
        self._host.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Hook of asyncio."""
        self._host.connections.discard(self)

    def drop(self) -> None:
        """Cut it."""
        if self._transport is not None:
            self._transport.close()
