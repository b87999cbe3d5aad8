"""The kubelet's own server: it says that it is well to whom its authority vouches for, and nothing else to anybody."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import h11

from plugins.lab.windows.given import Pair

PORT = 10250


@asynccontextmanager
async def serve_health(address: str, pair: Pair, clients: str) -> AsyncIterator[None]:
    """Serve at the node's address for as long as the context lasts; `clients` is the authority's PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(cadata=clients)
    context.verify_mode = ssl.CERT_OPTIONAL
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pem"
        file.touch(0o600)
        file.write_text(f"{pair.key}\n{pair.certificate}")
        context.load_cert_chain(file)
    server = await asyncio.start_server(_answer, address, PORT, ssl=context)
    try:
        yield
    finally:
        server.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request, and end the connection."""
    http = h11.Connection(h11.SERVER)
    with contextlib.suppress(ConnectionError, h11.RemoteProtocolError):
        while (event := http.next_event()) is h11.NEED_DATA:
            http.receive_data(await reader.read(65536))
        if isinstance(event, h11.Request):
            known = bool(writer.get_extra_info("peercert"))
            status = 401 if not known else 200 if event.target == b"/healthz" else 404
            body = {200: b"ok", 401: b"Unauthorized", 404: b"404 page not found"}[status]
            headers = [("Content-Length", str(len(body))), ("Connection", "close")]
            for part in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                writer.write(http.send(part) or b"")
            await writer.drain()
    writer.close()
