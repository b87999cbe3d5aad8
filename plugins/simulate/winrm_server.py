"""HTTP in front of a simulated Windows host's shells: what http.sys and the WinRM service do there."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

import h11
from cryptography import x509

from plugins.simulate.drive import heard
from plugins.simulate.host import SimulatedHost
from plugins.simulate.winrm_auth import SEALED, Peer, RefusedError, SealError, Users
from plugins.simulate.winrm_shells import Shells
from plugins.simulate.winrm_soap import FaultError, fault, read

SOAP_TYPE = "application/soap+xml;charset=UTF-8"
_HEAD = 16 * 1024  # bytes of a request's headers; NTLM tokens are among them
_SEAL = 4096  # bytes that encryption may add


@dataclass
class Counted:
    """Requests that were answered, by action, for tests of how chatty a client is."""

    actions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reply:
    """One HTTP response."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Listener:
    """What answers at one host's address."""

    def __init__(self, host: SimulatedHost, shells: Shells, users: Users, certificate: x509.Certificate | None) -> None:
        self.host, self.shells, self.users, self.certificate = host, shells, users, certificate
        self.counted = Counted()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        connection = _Connection(self, reader, writer)
        self.host.state.counters.connections += 1
        self.host.connections.add(connection)
        try:
            with contextlib.suppress(ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
                await connection.run()
        finally:
            self.host.connections.discard(connection)
            writer.close()


class _Connection:
    """One client's connection: NTLM logs in the connection, so its state is here."""

    def __init__(self, listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._listener, self._reader, self._writer = listener, reader, writer
        self._host = listener.host
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD)
        self._peer = Peer(listener.users, listener.certificate, writer.get_extra_info("peercert"))
        self._task = asyncio.current_task()

    def drop(self) -> None:
        """Cut it without a word; what waits for an answer hears of it."""
        self._writer.transport.abort()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def run(self) -> None:
        """Answer one request after the other."""
        while isinstance(request := await self._event(), h11.Request):
            body = await self._body(request)
            reply = Reply(413) if body is None else await self._reply(request, body)
            await heard(self._host)
            if self._host.latency:
                await asyncio.sleep(self._host.latency)
            await self._respond(reply)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(65536))
        return event

    async def _body(self, request: h11.Request) -> bytes | None:
        """Read the body; None where it is larger than an envelope may be."""
        most, data = self._listener.shells.quotas.envelope + _SEAL, bytearray()
        if int(dict(request.headers).get(b"content-length", b"0")) > most:
            return None
        while isinstance(event := await self._event(), h11.Data):
            data += event.data
            if len(data) > most:
                return None
        return bytes(data)

    async def _reply(self, request: h11.Request, body: bytes) -> Reply:
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        if request.target.partition(b"?")[0] != b"/wsman":
            return Reply(404)
        if request.method != b"POST":
            return Reply(405)
        if broken := self._host.strike(("http",)):
            return Reply(broken.number("status", 500))
        login = headers.get("authorization", "")
        try:
            self._admit(login)
        except RefusedError as refused:
            self._host.state.counters.refused_logins += bool(login) and not refused.challenge
            return self._unauthorized(refused)
        if not body:
            return Reply(200)  # a client that sets up its keys
        return await self._message(headers.get("content-type", ""), body)

    def _admit(self, header: str) -> None:
        known = bool(self._peer.user)
        self._peer.admit(header)
        if not known and self._host.strike(("refuse-login",)):
            self._peer.user = ""
            raise RefusedError
        self._host.state.counters.logins += not known

    def _unauthorized(self, refused: RefusedError) -> Reply:
        offers = [refused.challenge] if refused.challenge else self._peer.offers
        return Reply(401, headers=tuple(("WWW-Authenticate", offer) for offer in offers))

    async def _message(self, kind: str, body: bytes) -> Reply:
        """Answer one message; over plain HTTP a Windows host wants it encrypted."""
        sealed = kind == SEALED
        if not sealed and (kind != SOAP_TYPE or self._listener.certificate is None):
            return Reply(500)
        if sealed and self._host.strike(("forget-keys",)):
            self._peer.forget()
        try:
            status, answer = await self._answer(self._peer.unseal(body) if sealed else body)
        except SealError:
            return Reply(400)
        if sealed:
            return Reply(status, self._peer.seal(answer), (("Content-Type", SEALED),))
        return Reply(status, answer, (("Content-Type", SOAP_TYPE),))

    async def _answer(self, message: bytes) -> tuple[int, bytes]:
        if len(message) > self._listener.shells.quotas.envelope:
            return 413, b""
        found = None
        try:
            found = read(message)
            self._listener.counted.actions.append(found.action)
            return 200, await self._listener.shells.answer(self._peer.user, found)
        except FaultError as error:
            error.message_id = found.message_id if found else ""
            return 500, fault(error)

    async def _respond(self, reply: Reply) -> None:
        headers = [("Server", "Microsoft-HTTPAPI/2.0"), ("Content-Length", str(len(reply.body))), *reply.headers]
        head = h11.Response(status_code=reply.status, headers=headers, reason=b"")
        for event in (head, h11.Data(data=reply.body), h11.EndOfMessage()):
            self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()
