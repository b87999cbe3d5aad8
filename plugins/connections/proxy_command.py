"""The command that a connection goes through: ProxyCommand and ProxyJump of the SSH configuration."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading

from plugins.connections.prompt_socket import PromptSocket

_KEPT, _LINES = 2000, 4  # bytes and lines of what it said last
_GRACE = 1.0  # seconds


class ProxyCommand(PromptSocket):
    """A running command with the connection on its standard input and output, in place of paramiko's own.

    paramiko's waits a tenth of a second at each read, and at full load for its time-out once the command is over;
    nobody reads what the command says. This one is a socket like any other, and ends with it.

    Ctrl-C ends what runs in the terminal's own session, and it is ours to end a run in good order: the command has a
    session of its own. It has no terminal there, so that ssh fails where it would ask.

    `ended`: it was over before it was closed here.
    """

    ended = False
    _words = ""

    def __init__(self, command_line: str) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        # A file, as nobody reads while the connection lives and a pipe would be full one day.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # it is closed with the socket
        self._reading = threading.Lock()
        with theirs:
            # By the shell, as OpenSSH does it: there may be quotes and redirections.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command_line}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._log,
                start_new_session=True,
                env=os.environ | {"SSH_ASKPASS_REQUIRE": "never"},
            )

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Give at most `size` bytes; none once the command is over."""
        try:
            data = super().recv(size, flags)
        except ConnectionError:
            data = b""  # it has left unread what was sent to it
        if not data:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)
            self.ended = True
        return data

    @property
    def said(self) -> str:
        """The last lines that it said, its exit status where it ended without a word."""
        self._note()
        return self._words or (f"exit status {self._process.returncode}" if self.ended else "")

    def _note(self) -> None:
        # paramiko's thread may close it while another asks.
        with self._reading:
            if not self._log.closed:
                log = self._log.fileno()
                # The place in the file is the command's as well: it must not move.
                text = os.pread(log, _KEPT, max(0, os.fstat(log).st_size - _KEPT)).decode(errors="replace")
                self._words = "; ".join(map(str.strip, text.strip().splitlines()[-_LINES:]))

    def close(self) -> None:
        """Close it, and end the command; what it had `said` before is kept."""
        super().close()
        self._note()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                if self._process.poll() is None:
                    os.killpg(self._process.pid, number)
                    self._process.wait(_GRACE)
        with self._reading:
            self._log.close()
