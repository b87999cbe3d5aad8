"""A web server of the test's own: it serves ranges, can hang up in the middle, and remembers what it was asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Web(ThreadingHTTPServer):
    """`files` by name; `cut` hangs up once after so many bytes; `asked` has (name, first byte) of every request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}
        self.asked: list[tuple[str, int]] = []

    def url(self, name: str) -> str:
        """Give the address of a file."""
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    """GET with ranges."""

    server: Web

    def do_GET(self) -> None:
        """Serve one file."""
        name = self.path.lstrip("/")
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.server.asked.append((name, first))
        data = self.server.files.get(name)
        if data is None or (first and first >= len(data)):
            self.send_error(404 if data is None else 416)
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[first : self.server.cut.pop(name, len(data))])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[Web]:
    """Serve for as long as the test lasts."""
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
