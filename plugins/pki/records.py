"""What the store hands out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from plugins.secret import Secret


@dataclass(frozen=True)
class HeldAuthority:
    """An authority that the state folder holds, without its key; `reason` says why it was made, when `changed`.

    `fingerprint` is the SHA-256 of the DER form, written AA:BB:...
    """

    certificate_pem: str
    fingerprint: str
    changed: bool
    reason: str | None


@dataclass(frozen=True)
class HeldKey:
    """A key pair without a certificate, PEM; `derived` is a secret of 32 bytes that follows from it, in base64."""

    private_pem: Secret
    public_pem: str
    derived: Secret
    changed: bool
    reason: str | None


@dataclass(frozen=True)
class Leaf:
    """What one host gets: its key, its certificate and the CA's certificate, all PEM; `reason` when `changed`."""

    key_pem: Secret
    certificate_pem: str
    ca_pem: str
    changed: bool
    reason: str | None


@dataclass(frozen=True)
class Planned:
    """What a real run would make, and why. Nothing was written."""

    what: str
    reason: str


@dataclass(frozen=True)
class Row:
    """One line of the listing.

    `days_left` counts whole days and is negative once the certificate has expired. With a `problem` the
    file could not be read: `not_after` and `days_left` are None then.
    """

    name: str
    subject: str
    not_after: datetime | None
    days_left: int | None
    problem: str = ""
