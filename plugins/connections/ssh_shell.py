"""Scripts over an open SSH connection: one exec channel each, sudo without leaks, both streams read to the end."""

from __future__ import annotations

import base64
import contextlib
import math
import secrets
import select
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import paramiko

from plugins.connections.base import Completed
from plugins.connections.lines import LineSplitter
from plugins.errors import SudoError, UnreachableError
from plugins.secret import Secret

STDERR_KEPT = 16 * 1024  # bytes
STALLED = 60.0  # seconds without the host taking anything
GRACE = 20.0  # seconds that the host has to end a script that is over its deadline
# Reads and drops what sudo did not want (the password), up to a random line; then the whole script, which
# is read to its end before anything of it runs. A line cut before that runs nothing.
_RECEIVER = 'while IFS= read -r l; do [ "$l" = "#go-{token}" ] && {{ {then}; exit; }}; done; exit 97'
_WHOLE_INPUT = 'unset l; eval "$(cat)"'
# A script that has input comes as one line, and its input behind it.
_ONE_LINE = 'IFS= read -r l && eval "$(printf %s "$l" | base64 -d)"'
_LOST = (paramiko.SSHException, OSError, EOFError)


def words(error: BaseException) -> str:
    """Say what an error of the network says, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _one_line(script: bytes) -> bytes:
    return base64.b64encode(script) + b"\n"


def _send(channel: paramiko.Channel, data: Iterable[bytes]) -> str:
    """Send a command's input; the text says how it could not be sent whole. A script that has failed reads no more."""
    channel.settimeout(STALLED)
    try:
        for piece in data:
            channel.sendall(piece)
        channel.shutdown_write()
    except _LOST as error:
        return f"the connection was lost while files were sent ({words(error)})"
    finally:
        channel.settimeout(None)
    return ""


class SshShell:
    """One SSH connection; each script is one exec channel (three turns: open, run, output)."""

    def __init__(self, client: paramiko.SSHClient, host: str, *, root: bool, sudo: Secret | None) -> None:
        self._client, self._host, self._root, self._sudo = client, host, root, sudo
        self._sudo_lock = threading.Lock()
        self._sudo_answer: UnreachableError | bool = root or sudo is None
        self._closed = threading.Event()

    def run(self, script: bytes, *, deadline: float, on_line: Callable[[bytes], None]) -> Completed:
        """Run `script` as root (see Shell)."""
        return self._run(script, None, deadline, on_line)

    def feed(
        self, script: bytes, data: Iterable[bytes], *, deadline: float, on_line: Callable[[bytes], None]
    ) -> Completed:
        """Run `script` as root, with `data` as its input (see Shell)."""
        return self._run(_one_line(script), data, deadline, on_line)

    def _run(
        self, script: bytes, data: Iterable[bytes] | None, deadline: float, on_line: Callable[[bytes], None]
    ) -> Completed:
        self._check_sudo()
        try:
            channel, lost = self._start(script, int(deadline), whole=data is None)
        except _LOST as error:
            lost = f"the connection was lost before the script was sent ({words(error)})"
            return Completed(None, lost=lost, unsent=True)
        with channel:
            unsent = bool(lost)
            if data is not None and not lost:
                lost = _send(channel, data)
            done = self._read(channel, time.monotonic() + deadline + GRACE, on_line, lost)
            return replace(done, unsent=unsent)

    def hold(self, script: bytes, *, on_line: Callable[[bytes], None]) -> SshHolder:
        """Start a script that reads beats from its input for as long as it is held (see Shell)."""
        self._check_sudo()
        try:
            channel, lost = self._start(_one_line(script), None, whole=False)
        except _LOST as error:
            raise self._gone("connect", error) from None
        return SshHolder(channel, lambda: self._read(channel, math.inf, on_line, lost))

    def _start(self, script: bytes, limit: int | None, *, whole: bool) -> tuple[paramiko.Channel, str]:
        """Send the script; the text says how it could not be sent whole.

        Whoever does not read it to its end, a sudo that refuses for one, may still have something to say.
        """
        token = secrets.token_hex(16)
        receiver = _RECEIVER.format(token=token, then=_WHOLE_INPUT if whole else _ONE_LINE)
        # By SSH, bash reads .bashrc; the login shell has done so already.
        receive = f"bash --norc -c '{receiver}'"
        bounded = receive if limit is None else f"timeout -k 10 {limit} {receive}"
        escalate = "" if self._root else "sudo -n " if self._sudo is None else "sudo -S -p '' "
        channel = self._open()
        channel.exec_command(f"exec {escalate}{bounded}")
        try:
            channel.sendall(self._password() + f"#go-{token}\n".encode() + script)
        except _LOST as error:
            return channel, f"the connection was lost while the script was sent ({words(error)})"
        if whole:
            with contextlib.suppress(*_LOST):  # all of it may be there, and its end is the connection's
                channel.shutdown_write()
        return channel, ""

    def _open(self) -> paramiko.Channel:
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            raise EOFError("the connection is closed")
        return transport.open_session(timeout=30)

    def _check_sudo(self) -> None:
        """Try the sudo password once for each connection, alone, so that a wrong one is one attempt.

        sudo would otherwise take lines of the script as its second and third try and lock the account.
        """
        with self._sudo_lock:
            if self._sudo_answer is False:
                self._sudo_answer = self._try_sudo() or True
            if isinstance(self._sudo_answer, UnreachableError):
                raise self._sudo_answer

    def _try_sudo(self) -> UnreachableError | None:
        try:
            with self._open() as channel:
                channel.exec_command("exec sudo -k -S -p '' true")
                # A sudo that wants no password may be over before ours is sent: its exit status still tells.
                _send(channel, [self._password()])
                done = self._read(channel, time.monotonic() + 60, lambda _: None)
        except _LOST as error:
            return self._gone("sudo", error)
        if done.exit_status == 0:
            return None
        if done.exit_status is None:
            return UnreachableError(self._host, "sudo", done.lost, "run again")
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return SudoError(
            self._host,
            "sudo",
            f"sudo refused: {said[-1] if said else 'it said nothing'}",
            "check sudo.password, and that the user may use sudo without a terminal (requiretty off)",
        )

    def _password(self) -> bytes:
        return self._sudo.reveal().encode() + b"\n" if self._sudo and not self._root else b""

    def _gone(self, step: str, error: Exception) -> UnreachableError:
        return UnreachableError(self._host, step, f"the connection was lost ({words(error)})", "run again")

    def _read(
        self, channel: paramiko.Channel, until: float, on_line: Callable[[bytes], None], lost: str = ""
    ) -> Completed:
        """Read both streams until the exit status is there and no more output comes; `lost` is what is known already.

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
            if (
                channel.eof_received and not channel.closed
            ):  # the descriptor stays readable from here on: wait for the status instead
                channel.status_event.wait(0.5)
            over = channel.closed or (channel.exit_status_ready() and (quiet or channel.eof_received))
            if over and not channel.recv_ready() and not channel.recv_stderr_ready():
                out.end()
                return self._completed(channel, bytes(errors), lost)
            if time.monotonic() > until:
                late = "it was not over by its deadline and the host did not end it"
                return Completed(None, bytes(errors), lost or late)

    def _completed(self, channel: paramiko.Channel, errors: bytes, lost: str) -> Completed:
        status = channel.recv_exit_status()
        if status >= 0:
            return Completed(status, errors)
        why = "it was closed here" if self._closed.is_set() else "the host or the network dropped it"
        return Completed(None, errors, lost or f"the connection was lost ({why})")

    def close(self) -> None:
        """Close the connection and end whoever waits on it."""
        self._closed.set()
        self._client.close()


class SshHolder:
    """A channel whose script lives from beat to beat; one that hears none for a while lets go by itself."""

    def __init__(self, channel: paramiko.Channel, read: Callable[[], Completed]) -> None:
        self._channel, self._read = channel, read
        self._done: Completed | None = None
        self._reader = threading.Thread(target=self._pump, daemon=True)
        self._reader.start()

    def _pump(self) -> None:
        self._done = self._read()

    def beat(self) -> bool:
        """Send one beat."""
        try:
            self._channel.sendall(b"\n")
        except _LOST:
            return False
        return not self._channel.exit_status_ready()

    def ended(self) -> Completed | None:
        """Say how the script ended (see Holder)."""
        return self._done

    def close(self) -> None:
        """End the script's input and wait shortly for its end."""
        with contextlib.suppress(*_LOST):
            self._channel.shutdown_write()
        self._reader.join(timeout=2)
        self._channel.close()
