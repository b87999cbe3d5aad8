"""Scripts over WinRM: one shell a host and run, each script one command in it, with deadlines of our own."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable

from winrm.exceptions import WinRMOperationTimeoutError, WSManFaultError
from winrm.protocol import Protocol

from plugins.connections.base import Completed, Holder
from plugins.connections.clixml import plain
from plugins.connections.lines import LineSplitter
from plugins.connections.winrm_bootstrap import PROGRAM, arguments, framed, pieces
from plugins.connections.winrm_errors import ERRORS, LOST, SHELL_GONE, explain, words
from plugins.connections.winrm_login import Login
from plugins.errors import ScriptError, UnreachableError

CODE_PAGE = 65001  # UTF-8
IDLE = "PT30M"  # after this the host itself ends a shell that nobody speaks to
STDERR_KEPT = 16 * 1024  # bytes
GRACE = 20.0  # seconds that the host has to end a script that is over its deadline
AWAY = 30.0  # seconds that a host may be away in the middle of a script
PAUSE = 1.0  # seconds between tries to have it back
CLOSING = 5.0  # seconds for each part of closing
SMALL = 8192  # bytes; after less, the next request waits a little for more
GATHER = 0.05  # seconds


class WinrmShell:
    """An open shell on one host; scripts are commands in it (see Shell)."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._busy, self._closed = threading.Lock(), threading.Event()
        self._closing = threading.Lock()
        login.check()
        try:
            self._protocol = login.protocol()
            self._shell = _open(self._protocol)
        except ERRORS as error:
            raise self._unreachable("connect", error) from None

    def run(self, script: bytes, *, deadline: float, on_line: Callable[[bytes], None]) -> Completed:
        """Run `script`, UTF-8 text of PowerShell (see Shell)."""
        with self._busy:
            if self._closed.is_set():
                return Completed(None, lost="the connection was lost (it was closed here)")
            command = self._start()
            word = secrets.token_hex(16)
            lost = self._send(command, framed(script, word, max(1, int(deadline))))
            if lost:
                self._end(command)
                return Completed(None, lost=lost)
            return self._receive(command, time.monotonic() + deadline + GRACE, on_line)

    def feed(
        self,
        script: bytes,  # noqa: ARG002
        data: Iterable[bytes],  # noqa: ARG002
        *,
        deadline: float,  # noqa: ARG002
        on_line: Callable[[bytes], None],  # noqa: ARG002
    ) -> Completed:
        """Refuse: WinRM carries some hundred kilobytes a second, and downloads are larger than that."""
        seen = "WinRM is too slow to carry files"
        raise ScriptError(self._login.host, "feed", seen, "have the host download them: --mirror with an address")

    def hold(self, script: bytes, *, on_line: Callable[[bytes], None]) -> Holder:  # noqa: ARG002  # the Protocol's own
        """Refuse: what is held beside other scripts would need a second shell."""
        seen = "WinRM holds no script beside others"
        raise ScriptError(self._login.host, "hold", seen, "locks are held over SSH, on the master")

    def _start(self) -> str:
        """Start PowerShell; where the line, the login or the shell is gone, once more with all of them new.

        Until its input is whole nothing has run, so that a second start does no harm.
        """
        try:
            return self._command()
        except ERRORS:
            pass
        try:
            self._renew()
            return self._command()
        except ERRORS as error:
            raise self._unreachable("start of the script", error) from None

    def _command(self) -> str:
        started: str = self._protocol.run_command(self._shell, PROGRAM, arguments(), console_mode_stdin=False)
        return started

    def _renew(self) -> None:
        """Make everything new; the old shell is ended, as shells count against a quota."""
        self._reconnect()
        with contextlib.suppress(*ERRORS):
            self._protocol.close_shell(self._shell, close_session=False)
        self._shell = _open(self._protocol)

    def _reconnect(self) -> None:
        """Make a new connection with a new login: that of the old one has keys that may be out of step."""
        self._protocol.transport.close_session()
        self._protocol = self._login.protocol()

    def _send(self, command: str, data: bytes) -> str:
        """Send the input; the text says how it could not be sent whole."""
        for piece, last in pieces(data):
            try:
                self._protocol.send_command_input(self._shell, command, piece, end=last)
            except WSManFaultError:
                return ""  # it has ended already, and may have something to say
            except ERRORS as error:
                with contextlib.suppress(*ERRORS):
                    self._reconnect()
                return f"the connection was lost while the script was sent ({words(error)})"
        return ""

    def _receive(self, command: str, until: float, on_line: Callable[[bytes], None]) -> Completed:
        """Take output until the command is done.

        A shell lives on while its connection is gone, so a lost one is made anew. What was on its way is lost
        then, and nobody can say whether there was any: the script is seen to its end, but its result is not taken.
        """
        lines, errors = LineSplitter(on_line), bytearray()
        torn, away = "", 0.0
        while True:
            if self._closed.is_set():
                return self._lost(lines, errors, "it was closed here")
            if time.monotonic() > until:
                self._end(command)
                return self._completed(
                    lines, errors, None, "it was not over by its deadline and the host did not end it"
                )
            try:
                out, error, status, done = self._protocol.get_command_output_raw(self._shell, command)
            except WinRMOperationTimeoutError:
                away = 0.0
                continue  # no output in that time, which is no error
            except WSManFaultError as fault:
                gone = fault.wsman_fault_code == SHELL_GONE
                return self._lost(
                    lines, errors, "the host has ended the shell: did it restart?" if gone else words(fault)
                )
            except LOST as failure:
                torn, away = torn or words(failure), away or time.monotonic()
                lines.end()
                if time.monotonic() - away > AWAY or self._closed.wait(PAUSE):
                    return self._lost(lines, errors, torn)
                with contextlib.suppress(*ERRORS):
                    self._reconnect()
                continue
            away = 0.0
            lines.feed(out)
            errors += error
            del errors[:-STDERR_KEPT]
            if done:
                self._end(command)
                lost = f"the connection was lost for a while, and maybe some output with it ({torn})" if torn else ""
                return self._completed(lines, errors, None if torn else status, lost)
            if len(out) < SMALL:
                self._closed.wait(GATHER)

    def _lost(self, lines: LineSplitter, errors: bytearray, why: str) -> Completed:
        why = "it was closed here" if self._closed.is_set() else why
        return self._completed(lines, errors, None, f"the connection was lost ({why})")

    @staticmethod
    def _completed(lines: LineSplitter, errors: bytearray, status: int | None, lost: str) -> Completed:
        lines.end()
        return Completed(status, plain(bytes(errors)), lost)

    def _end(self, command: str) -> None:
        """Tell the host that the command is no longer wanted: also one that is done counts until then."""
        with contextlib.suppress(*ERRORS):
            self._protocol.cleanup_command(self._shell, command)

    def _unreachable(self, step: str, error: BaseException) -> UnreachableError:
        return UnreachableError(self._login.host, step, *explain(error, self._login))

    def close(self) -> None:
        """Delete the shell, and with it a script that still runs in it.

        A Protocol is for one thread: while another one waits for a script, this takes one of its own, and the
        host then ends the other's wait.
        """
        with self._closing:
            if self._closed.is_set():
                return
            self._closed.set()
        with contextlib.suppress(*ERRORS):
            self._login.protocol(CLOSING).close_shell(self._shell)
        if self._busy.acquire(blocking=False):
            self._protocol.transport.close_session()
            self._busy.release()


def _open(protocol: Protocol) -> str:
    shell: str = protocol.open_shell(codepage=CODE_PAGE, noprofile=True, idle_timeout=IDLE)
    return shell
