"""A certificate authority: made, read, checked, and known by its fingerprint."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from plugins.errors import StepError, UsageError
from plugins.pki.keys import new_key
from plugins.pki.profiles import AuthorityProfile, authority_name

# A host whose clock is a little behind must not find a certificate of this minute "not yet valid".
BACKDATE = timedelta(minutes=5)

_UNREADABLE = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
)
_CERTIFICATE_MAX = 64 * 1024  # characters; a certificate of ours has under 1,000


@dataclass(frozen=True)
class Authority:
    """A CA certificate and its private key, which is for signing and not for showing."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def create_authority(profile: AuthorityProfile, cluster: str, now: datetime) -> Authority:
    """Make a self-signed EC P-256 authority that may sign leaves and no further authority."""
    key, start = new_key(), now.astimezone(UTC).replace(microsecond=0)
    public = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, authority_name(profile, cluster))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - BACKDATE)
        .not_valid_after(start + timedelta(days=profile.days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(certificate_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return Authority(builder.sign(key, hashes.SHA256()), key)


def load_ca_certificate(pem: bytes, where: str) -> x509.Certificate:
    """Read a self-signed CA certificate. Raises UsageError naming `where` when it is anything else."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(certificate)
    except _UNREADABLE as exc:
        raise UsageError(f"{where}: no CA certificate can be read: restore it from a backup") from exc
    if not constraints.ca:
        raise UsageError(f"{where}: this certificate is no CA's: restore the CA from a backup")
    return certificate


def check_authority(certificate: x509.Certificate, name: str, now: datetime, where: str) -> None:
    """Raise UsageError when the authority is another cluster's, or cannot be used at this time."""
    common_names = [str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if common_names != [name]:
        raise UsageError(
            f"{where}: the CA here is {', '.join(common_names)!r}, wanted is {name!r}: each cluster needs a "
            "state folder of its own"
        )
    if now < certificate.not_valid_before_utc:
        raise UsageError(
            f"{where}: the CA is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC and it is "
            f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC here: set this machine's clock"
        )
    if now >= certificate.not_valid_after_utc:
        raise UsageError(
            f"{where}: the CA expired on {certificate.not_valid_after_utc:%Y-%m-%d}: check this machine's clock; "
            "if it is right, move the folder away and take the old CA off the master, and a new one is made"
        )


def certificate_pem(certificate: x509.Certificate) -> str:
    """Return the certificate as PEM text."""
    return certificate.public_bytes(Encoding.PEM).decode()


def fingerprint(certificate: x509.Certificate) -> str:
    """Return SHA-256 of the DER form as `openssl x509 -fingerprint -sha256` writes it: AA:BB:..."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def host_fingerprint(text: str, host: str, step: str) -> str:
    """Return the fingerprint of the one certificate in PEM text that a host sent back.

    The text is untrusted and never repeated. Raises StepError for anything but one certificate.
    """
    found: list[x509.Certificate] = []
    if len(text) <= _CERTIFICATE_MAX:
        try:
            found = x509.load_pem_x509_certificates(text.encode(errors="replace"))
        except ValueError:
            found = []
    if len(found) != 1:
        raise StepError(
            host,
            step,
            f"the CA file there ({len(text)} characters) holds {len(found)} readable certificates, wanted is 1",
            "look at the file on the host; put the cluster's CA back, or move the file away",
        )
    return fingerprint(found[0])


def key_usage(*, certificate_sign: bool) -> x509.KeyUsage:
    """Key usage of an authority (signs certificates and revocation lists) or of a leaf (signs only)."""
    return x509.KeyUsage(
        digital_signature=not certificate_sign,
        key_cert_sign=certificate_sign,
        crl_sign=certificate_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
