"""The socket beneath an SSH connection: nobody on it waits for what need not be waited for."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Seconds that paramiko's thread of a connection waits for a packet before it looks at its keep-alive. Its own tenth
# of a second has 1,000 idle connections wake 10,000 times a second, each time for the interpreter's lock.
IDLE = 3.0

# Only Linux has it; elsewhere the one pause stays.
_QUICK_ACK: int = getattr(socket, "TCP_QUICKACK", socket.TCP_NODELAY)

# Bytes. Memory that is taken anew for each read, and mostly given back, was 150 MB in pieces at 1,000 hosts.
_AHEAD = 4096


class PromptSocket(socket.socket):
    """A socket on which neither side waits for the other's acknowledgement, and one read takes all that is there.

    paramiko reads a packet in two pieces, and a script's answer is half a dozen packets that come as one: reading
    ahead saves the rest of the calls, at each of which another thread takes the interpreter's lock.

    Nagle's algorithm and delayed acknowledgements together cost a login and its first channel three pauses of
    40 ms. OpenSSH's server switches Nagle's algorithm off only once a session runs, so its share of them goes
    only where each piece that it sends is acknowledged at once.

    `greeting` is what came first: a server that takes nobody says why there, and paramiko keeps it to itself.
    """

    greeting = b""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._ahead, self._place, self._end = memoryview(bytearray(_AHEAD)), 0, 0
        self._tcp = self.family in (socket.AF_INET, socket.AF_INET6)
        if self._tcp:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send what there is room for; give how many bytes that were."""
        try:
            return super().send(data, flags)
        except ConnectionError:
            # Who is sent away at once may hear it before paramiko, which sends first, has come to read anything.
            if not self.greeting:
                with contextlib.suppress(OSError):
                    while self.recv(_AHEAD):
                        pass
            raise

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Give at most `size` bytes."""
        if self._place == self._end:
            self._place, self._end = 0, self.recv_into(self._ahead, flags=flags)
            self.greeting = self.greeting or bytes(self._ahead[: self._end])
            if self._tcp:
                self.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)  # holds for a few packets only, hence each time
        data = bytes(self._ahead[self._place : min(self._place + size, self._end)])
        self._place += len(data)
        return data

    def close(self) -> None:
        """Close it, and wake the thread that waits for its next packet."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        super().close()
