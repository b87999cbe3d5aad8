"""Private keys: made, written as PKCS#8 (encrypted when there is a passphrase) and read back."""

from __future__ import annotations

import base64

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from plugins.errors import UsageError
from plugins.secret import Secret

_PASSPHRASE_MAX = 1023  # bytes: what the library accepts


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make an EC P-256 key: OpenSSL, Go and Windows all take it, and it is made in no time."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey, passphrase: Secret | None) -> bytes:
    """Return the key as PKCS#8 PEM. Raises UsageError for a passphrase that cannot be used."""
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        encryption = BestAvailableEncryption(_passphrase_bytes(passphrase))
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def secret_key_pem(key: ec.EllipticCurvePrivateKey) -> Secret:
    """Return the unencrypted key for a host. As a Secret it is taken out of logs, whole or line by line."""
    return Secret(key_pem(key, None).decode())


def public_key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the public half as PEM: what tells one key from another without giving it away."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def derived_secret(key: ec.EllipticCurvePrivateKey) -> Secret:
    """Derive 32 bytes from a key, in base64, for ciphers that take no key pair: the same ones for the same key."""
    private = key.private_numbers().private_value.to_bytes(32, "big")
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"ovn-runbooks encryption at rest").derive(private)
    return Secret(base64.b64encode(derived).decode())


def load_key(pem: bytes, passphrase: Secret | None, where: str) -> ec.EllipticCurvePrivateKey:
    """Read an EC private key out of PEM text that may hold other blocks beside it.

    `where` names the file in errors. Raises UsageError, never with anything of the key in it.
    """
    word = None if passphrase is None else _passphrase_bytes(passphrase)
    try:
        key = load_pem_private_key(pem, word)
    except TypeError:
        # The library's way to say that there is a passphrase too many or too few. `from None`, here and
        # below: nothing of what it was reading may travel along in a traceback.
        raise UsageError(_passphrase_problem(where, given=word is not None)) from None
    except (ValueError, UnsupportedAlgorithm):
        if word is None:
            raise UsageError(f"{where}: no private key can be read: restore it from a backup") from None
        raise UsageError(
            f"{where}: the private key cannot be decrypted: the passphrase is wrong or the file is damaged; "
            "check the passphrase setting, then restore the file from a backup"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{where}: the private key is not an EC key: restore the one this project made")
    return key


def _passphrase_problem(where: str, *, given: bool) -> str:
    if given:
        return (
            f"{where}: the private key is not encrypted although a passphrase is set: encrypt it "
            "(`openssl pkcs8 -topk8`) or take the passphrase setting away"
        )
    return f"{where}: the private key is encrypted: set the passphrase it was made with"


def _passphrase_bytes(passphrase: Secret) -> bytes:
    word = passphrase.reveal().encode()
    if not 0 < len(word) <= _PASSPHRASE_MAX:
        raise UsageError(f"certificates: the passphrase must have 1 to {_PASSPHRASE_MAX} bytes")
    return word
