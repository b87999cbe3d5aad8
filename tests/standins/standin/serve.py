"""Servers over TLS, and telling systemd that they are there."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standin.refusal import Refusal


class Server(ThreadingHTTPServer):
    """An HTTP server whose handlers find what they serve in `subject`."""

    daemon_threads = True
    subject: Any = None

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 -- its name in the base class
        """One line for a client that went away or was not let in."""
        print(f"{client_address[0]}: {sys.exc_info()[1]}", file=sys.stderr, flush=True)


class Handler(BaseHTTPRequestHandler):
    """Answers that are whole, and no log of requests."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Server

    def log_message(self, format: str, *_words: Any) -> None:  # noqa: A002 -- the name in the standard library
        """Who asks is of no interest."""

    def answer(self, status: int, text: str, kind: str = "text/plain") -> None:
        """Send one answer."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Health(Handler):
    """Health alone, at the paths that the server has as `subject`."""

    def do_GET(self) -> None:
        """Say how it is."""
        if self.path.split("?")[0] in self.server.subject:
            self.answer(200, "ok")
        else:
            self.answer(403 if isinstance(self.connection, ssl.SSLSocket) else 404, "not for you\n")


class KubeletApi(Handler):
    """The kubelet's own server: nobody is anonymous there."""

    def do_GET(self) -> None:
        """Health, for who shows a certificate."""
        known = isinstance(self.connection, ssl.SSLSocket) and self.connection.getpeercert()
        self.answer(200 if known else 401, "ok" if known else "Unauthorized")


def tls(certificate: str, key: str, clients: str = "") -> ssl.SSLContext:
    """A server's TLS; who shows a certificate must show one of the authority `clients`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def serve(
    address: str, port: int, handler: type[Handler], context: ssl.SSLContext | None, subject: Any = None
) -> Server:
    """Serve in a thread of its own. Raises Refusal when the port is taken."""
    try:
        server = Server((address, port), handler)
    except OSError as error:
        raise Refusal(f"cannot listen on {address}:{port}: {error.strerror}") from None
    server.subject = subject
    if context:
        # The handshake is for the request's thread: one that hangs must not keep others out.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def notify_ready() -> None:
    """Tell systemd, where it waits for that (Type=notify)."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.connect("\0" + place[1:] if place.startswith("@") else place)
            connection.send(b"READY=1")
