"""Who is at the other end of one connection: NTLM by pyspnego's server side, Basic, or a client certificate."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spnego
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

CREDENTIALS = "NTLM_USER_FILE"  # where pyspnego looks for the users that a server knows
MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_BOUNDARY = b"--Encrypted Boundary\r\n"
_LAST = b"--Encrypted Boundary--\r\n"
_OCTETS = b"\tContent-Type: application/octet-stream\r\n"
_KIND = "application/HTTP-SPNEGO-session-encrypted"
SEALED = f'multipart/encrypted;protocol="{_KIND}";boundary="Encrypted Boundary"'


@dataclass(frozen=True)
class Users:
    """Who may log in, and how; Basic is off by default on a Windows host."""

    user: str
    password: str
    basic: bool = False

    def publish(self, file: Path) -> None:
        """Write the file that NTLM's server side takes passwords from, and point this process to it."""
        file.touch(0o600)
        file.write_text(f":{self.user}:{self.password}\n")
        os.environ[CREDENTIALS] = str(file)


class RefusedError(Exception):
    """A login that is not (or not yet) complete; `challenge` goes back with HTTP status 401."""

    def __init__(self, challenge: str = "") -> None:
        super().__init__(challenge)
        self.challenge = challenge


class SealError(Exception):
    """An encrypted message that cannot be read: the two ends' keys are out of step."""


class Peer:
    """The state of one connection's login. `certificate` is the server's own, `shown` the subject of the client's."""

    def __init__(self, users: Users, certificate: x509.Certificate | None, shown: dict[str, Any] | None) -> None:
        self._users, self._shown = users, shown
        self.user = ""
        self.encrypts = False
        self._bindings = _bindings(certificate) if certificate else None
        self._context: spnego.ContextProxy | None = None

    @property
    def offers(self) -> list[str]:
        """What WWW-Authenticate names."""
        return ["Negotiate", *(['Basic realm="WSMAN"'] if self._users.basic else [])]

    def admit(self, header: str) -> None:
        """Take an Authorization header; RefusedError where that is not enough."""
        scheme, _, value = header.partition(" ")
        if header == MUTUAL:
            self._by_certificate()
        elif scheme == "Basic" and self._users.basic:
            self._by_password(value)
        elif scheme == "Negotiate":
            self._negotiate(value)
        elif not self.user or header:
            raise RefusedError

    def _by_certificate(self) -> None:
        names = dict(pair for part in (self._shown or {}).get("subject", ()) for pair in part)
        if names.get("commonName") != self._users.user:
            raise RefusedError
        self.user = self._users.user

    def _by_password(self, value: str) -> None:
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise RefusedError from None
        right = hmac.compare_digest(password.encode(), self._users.password.encode())
        if not right or user.lower() != self._users.user.lower():
            raise RefusedError
        self.user = self._users.user

    def _negotiate(self, value: str) -> None:
        """Take the next token; each connection is logged in by its own exchange."""
        try:
            token = base64.b64decode(value, validate=True)
            if self._context is None or self._context.complete:
                self.user = ""
                self._context = spnego.server(protocol="ntlm", channel_bindings=self._bindings)
            back = self._context.step(token)
        except (binascii.Error, SpnegoError, ValueError):
            self._context = None
            raise RefusedError from None
        if not self._context.complete:
            raise RefusedError(f"Negotiate {base64.b64encode(back or b'').decode()}")
        self.user = self._users.user

    def unseal(self, body: bytes) -> bytes:
        """Decrypt one message, as MS-WSMV describes it in 2.2.9.1."""
        parts = body.removesuffix(_LAST).split(_BOUNDARY)
        if len(parts) != 3 or parts[0] or _KIND.encode() not in parts[1] or not parts[2].startswith(_OCTETS):
            raise SealError("not multipart/encrypted")
        data = parts[2].removeprefix(_OCTETS)
        size = int.from_bytes(data[:4], "little")
        if self._context is None or not self._context.complete:
            raise SealError("no keys")
        try:
            plain = self._context.unwrap_winrm(data[4 : 4 + size], data[4 + size :])
        except (SpnegoError, ValueError) as error:
            raise SealError(str(error)) from None
        if f"Length={len(plain)}\r\n".encode() not in parts[1]:
            raise SealError("length")
        return plain

    def seal(self, message: bytes) -> bytes:
        """Encrypt one message."""
        assert self._context is not None
        sealed = self._context.wrap_winrm(message)
        kind = f"\tContent-Type: {_KIND}\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;"
        head = f"{kind}Length={len(message)}\r\n".encode()
        size = len(sealed.header).to_bytes(4, "little")
        return b"".join([_BOUNDARY, head, _BOUNDARY, _OCTETS, size, sealed.header, sealed.data, _LAST])

    def forget(self) -> None:
        """Lose the keys, as a host may after a time-out."""
        self._context = None


def _bindings(certificate: x509.Certificate) -> GssChannelBindings:
    """Bind a login to the TLS channel (RFC 5929), so that nobody in between can pass it on."""
    return GssChannelBindings(application_data=b"tls-server-end-point:" + certificate.fingerprint(SHA256()))
