"""Serves files of a mirror's folder over HTTP for the time of a run, to hosts that no file can be carried to.

Plain HTTP does: nothing that is served is secret, and a host takes only what has the pinned SHA-256.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import BoundedSemaphore, Lock, Thread
from typing import Any

from plugins.secret import Secret

AT_ONCE = 16  # files that one server sends at the same time; who comes later waits for its turn
REQUEST_SECONDS, STALLED_SECONDS = 10, 60  # to say what is wanted, and without taking any of it
_LOOK = 0.2  # seconds between two looks at whether it is over


@dataclass(frozen=True)
class Served:
    """Where a host finds what is served: `origin` is http://ADDRESS:PORT, `word` the path that nobody guesses."""

    origin: str
    word: Secret

    def address(self, place: str) -> Secret:
        """Give the address of a place in the mirror."""
        return Secret(f"{self.origin}/{self.word.reveal()}/{place}")


class Serving:
    """The servers of one run: one at each address of this machine by which it reaches hosts. Safe to use from threads.

    They only read, give files that were offered and no others, and end with `close` or with this process.
    """

    def __init__(self) -> None:
        self._servers: dict[str, _Server] = {}
        self._lock = Lock()

    def offer(self, host: str, files: Mapping[str, Path], *, told: str = "", port: int = 0) -> Served:
        """Serve `files`, by their places in the mirror, where `host` (address or name) reaches this machine.

        `told` is the address that the host is told instead of this machine's own, `port` the one to take; 0: any.
        Raises OSError where the host has no route from here, or the port is taken.
        """
        local = _local_address(host)
        with self._lock:
            server = self._servers.get(local)
            if server is None:
                server = self._servers[local] = _Server(local, port)
            server.files.update(files)
        return Served(f"http://{told or local}:{server.port}", server.word)

    def close(self) -> None:
        """End all of them, whatever they are sending; safe to call twice."""
        with self._lock:
            servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.end()


def _local_address(host: str) -> str:
    """Give this machine's address on the way to a host; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((host, 9))
        return str(way.getsockname()[0])


class _Server(ThreadingTCPServer):
    allow_reuse_address = True  # a fixed port is taken again by the next run at once
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str, port: int) -> None:
        super().__init__((address, port), _Handler)
        self.files: dict[str, Path] = {}
        self.word = Secret(secrets.token_urlsafe(32))
        self.port = int(self.server_address[1])
        self._room = BoundedSemaphore(AT_ONCE)
        self._open: set[Any] = set()
        self._over = False
        Thread(target=self.serve_forever, args=(_LOOK,), name=f"mirror at {address}", daemon=True).start()

    def file(self, path: str) -> Path | None:
        """Find what a request's path stands for; None for one that was never offered."""
        word, _, place = path.removeprefix("/").partition("/")
        known = hmac.compare_digest(word.encode(), self.word.reveal().encode())
        return self.files.get(place) if known else None

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection its thread once there is room for one more."""
        while not self._room.acquire(timeout=_LOOK):
            if self._over:
                self.shutdown_request(request)
                return
        self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(request)
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the host that broke off tells by itself what it lacks."""

    def end(self) -> None:
        self._over = True
        self.shutdown()
        self.server_close()
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_SECONDS
    server_version, sys_version = "ovn-runbooks", ""

    def do_GET(self) -> None:
        """Send one whole file."""
        file = self.server.file(self.path)
        try:
            stream = file.open("rb") if file is not None else None
        except OSError:
            stream = None
        if stream is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with stream:
            self.connection.settimeout(STALLED_SECONDS)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(stream.seek(0, 2)))
            self.end_headers()
            stream.seek(0)
            self.connection.sendfile(stream)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's word
        """Log nothing: a request's path is what keeps others out."""
