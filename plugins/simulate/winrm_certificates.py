"""Certificates of simulated Windows hosts: a good one, and those that a client must refuse."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from plugins.simulate.host import Door

_DAY = timedelta(days=1)
_SHORT = _DAY
"""How long certificates are good for unless more is asked for: no simulated host lives longer."""
OTHER_NAME = "somewhere-else.example"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Signed:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def read(cls, certificate: bytes, key: bytes) -> Self:
        """Take both as PEM."""
        private = load_pem_private_key(key, None)
        assert isinstance(private, ec.EllipticCurvePrivateKey), "it is one of ours"
        return cls(x509.load_pem_x509_certificate(certificate), private)

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key as PEM."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_authority(name: str, valid: timedelta = _SHORT) -> Signed:
    """Make a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key, timedelta(0), valid).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = builder.add_extension(usage, critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return Signed(builder.add_extension(identifier, critical=False).sign(key, SHA256()), key)


def issue(
    authority: Signed | None,
    name: str,
    alternatives: Iterable[x509.GeneralName] = (),
    *,
    age: timedelta = timedelta(0),
    valid: timedelta = _SHORT,
) -> Signed:
    """Issue a certificate for servers and clients that was made `age` ago; without an authority it is self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.subject.rfc4514_string().removeprefix("CN=") if authority else name
    signer = authority.key if authority else key
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = _builder(name, issuer, key, age, valid).add_extension(usages, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(identifier, critical=False)
    if found := list(alternatives):
        builder = builder.add_extension(x509.SubjectAlternativeName(found), critical=False)
    return Signed(builder.sign(signer, SHA256()), key)


def _builder(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, age: timedelta, valid: timedelta
) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - _DAY / 24 - age
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + valid)
    )


class Certificates:
    """What the hosts of one world show: one certificate for all of them, with all their addresses, for each door."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self.authority = make_authority("simulated hosts' CA")
        names = [x509.IPAddress(IPv4Address(address)) for address in addresses]
        other = make_authority("another CA")
        self._shown = {
            Door.OPEN: issue(self.authority, "windows", names),
            Door.OTHER_KEY: issue(other, "windows", names),
            Door.SELF_SIGNED: issue(None, "windows", names),
            Door.EXPIRED: issue(self.authority, "windows", names, age=2 * _DAY),
            Door.OTHER_NAME: issue(self.authority, "windows", [x509.DNSName(OTHER_NAME)]),
        }
        self._contexts: dict[Door, ssl.SSLContext] = {}

    @property
    def authority_pem(self) -> str:
        """Give the certificate that clients are to believe."""
        return self.authority.pem.decode()

    def shown(self, door: Door) -> x509.Certificate:
        """Give the certificate that is shown, which logins are bound to."""
        return self._shown[door].certificate

    def client(self, user: str) -> Signed:
        """Issue a client certificate that is mapped to `user`."""
        return issue(self.authority, user)

    def context(self, door: Door) -> ssl.SSLContext:
        """Give the TLS settings of a listener; one for all hosts, so that many of them take little memory."""
        if door not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_verify_locations(cadata=self.authority.pem.decode())
            context.verify_mode = ssl.CERT_OPTIONAL
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "pem"
                file.touch(0o600)
                file.write_bytes(self._shown[door].key_pem + self._shown[door].pem)
                context.load_cert_chain(file)
            self._contexts[door] = context
        return self._contexts[door]
