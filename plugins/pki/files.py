"""How an authority and a leaf lie in the state folder, and what counts as broken there.

An authority is a folder with ca.pem and ca.key, put in place as a whole, once. A leaf is one file with
certificate and key, so no moment shows a mismatch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from plugins.errors import UsageError
from plugins.pki.authority import Authority, certificate_pem, load_ca_certificate
from plugins.pki.disk import exists, place_folder, read_file, read_private, write_private
from plugins.pki.keys import key_pem, load_key
from plugins.secret import Secret


@dataclass(frozen=True)
class StoredLeaf:
    """A certificate and the key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def read_ca_certificate(folder: Path) -> x509.Certificate | None:
    """Read an authority's certificate; None when there is no such folder. Raises UsageError when broken."""
    if not exists(folder):
        return None
    file = folder / "ca.pem"
    return load_ca_certificate(_needed(read_file(file), file), str(file))


def read_authority(folder: Path, passphrase: Secret | None) -> Authority | None:
    """Read an authority with its key; None when there is no such folder.

    Raises UsageError when a part is missing or damaged, the passphrase is wrong, or key and certificate do
    not belong together: the caller must not take any of that for "there is none".
    """
    certificate = read_ca_certificate(folder)
    if certificate is None:
        return None
    file = folder / "ca.key"
    key = load_key(_needed(read_private(file), file), passphrase, str(file))
    if certificate.public_key() != key.public_key():
        raise UsageError(f"{folder}: ca.key is not the key of ca.pem: restore both from one backup")
    return Authority(certificate, key)


def write_authority(folder: Path, authority: Authority, passphrase: Secret | None) -> None:
    """Put a new authority in place. Raises UsageError when something of that name is there already."""
    files = {
        "ca.pem": certificate_pem(authority.certificate).encode(),
        "ca.key": key_pem(authority.key, passphrase),
    }
    place_folder(folder, files)


def read_leaf(file: Path, passphrase: Secret | None) -> StoredLeaf | str:
    """Read a leaf, or say in half a sentence why it must be issued: it is missing or damaged.

    Raises UsageError when the operator must act: the file cannot be read, or other users can.
    """
    data = read_private(file)
    if data is None:
        return "there is none yet"
    try:
        certificate = x509.load_pem_x509_certificate(data)
        key = load_key(data, passphrase, str(file))
        matches = certificate.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm, UsageError):
        return "the stored one cannot be read"
    return StoredLeaf(certificate, key) if matches else "the stored key and certificate do not belong together"


def write_leaf(file: Path, leaf: StoredLeaf, passphrase: Secret | None) -> None:
    """Write or replace a leaf as a whole."""
    write_private(file, certificate_pem(leaf.certificate).encode() + key_pem(leaf.key, passphrase))


def read_key(file: Path, passphrase: Secret | None) -> ec.EllipticCurvePrivateKey | None:
    """Read a key that has no certificate; None when there is no such file. Raises UsageError when broken."""
    data = read_private(file)
    return None if data is None else load_key(data, passphrase, str(file))


def write_key(file: Path, key: ec.EllipticCurvePrivateKey, passphrase: Secret | None) -> None:
    """Write a key that has no certificate."""
    write_private(file, key_pem(key, passphrase))


def _needed(data: bytes | None, file: Path) -> bytes:
    if data is None:
        raise UsageError(
            f"{file}: is missing while its folder is there: restore the folder from a backup, as no new CA is made "
            "in place of a broken one"
        )
    return data
