"""Leaf certificates: issued, and judged whether they must be issued again. Pure: the clock is passed in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from plugins.pki.authority import BACKDATE, Authority, key_usage
from plugins.pki.profiles import Identity, LeafProfile, Names, Usage, identity

RENEW_DAYS = 30

_USAGE_OIDS = {
    Usage.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Usage.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}


def issue_leaf(
    authority: Authority, profile: LeafProfile, names: Names, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.Certificate:
    """Sign one row's certificate for one host: from five minutes ago, no longer than its authority lasts."""
    wanted, ca = identity(profile, names), authority.certificate
    start = now.astimezone(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(wanted))
        .issuer_name(ca.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(start - BACKDATE, ca.not_valid_before_utc))
        .not_valid_after(min(start + timedelta(days=profile.days), ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(certificate_sign=False), critical=True)
        .add_extension(_extended_usage(profile), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    alternatives = _alternative_names(wanted)
    if alternatives:  # a client such as an administrator may have none, and an empty list is malformed
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def reason_to_renew(
    certificate: x509.Certificate,
    profile: LeafProfile,
    names: Names,
    authority: x509.Certificate,
    now: datetime,
    window_days: int = RENEW_DAYS,
) -> str | None:
    """Say why a certificate must be issued again, as half a sentence, or None when it is good.

    A row that lasts under three windows is renewed in its last third: a fresh leaf never needs renewal.
    """
    try:
        return (
            _wrong_issuer(certificate, authority)
            or _wrong_key(certificate)
            or _wrong_names(certificate, identity(profile, names))
            or wrong_usage(certificate, profile)
            or _wrong_time(certificate, authority, now, timedelta(days=min(window_days, profile.days / 3)))
        )
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return "its extensions cannot be read"


def _wrong_issuer(certificate: x509.Certificate, authority: x509.Certificate) -> str | None:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return "it was issued by another authority"
    return None


def _wrong_key(certificate: x509.Certificate) -> str | None:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return None
    return "its key is not EC P-256"


def _wrong_names(certificate: x509.Certificate, wanted: Identity) -> str | None:
    if certificate.subject != _subject(wanted):
        return f"its subject is {certificate.subject.rfc4514_string()}, not {_subject(wanted).rfc4514_string()}"
    try:
        found = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        found = []
    # As sets of text: order does not matter, and a kind of name that is never asked for shows as extra.
    has, wants = _texts(found), _texts(_alternative_names(wanted))
    changes = [*(f"lacks {name}" for name in sorted(wants - has)), *(f"has {name}" for name in sorted(has - wants))]
    return f"its names differ: {', '.join(changes)}" if changes else None


def wrong_usage(certificate: x509.Certificate, profile: LeafProfile) -> str | None:
    """Say how a leaf's key usage differs from its row's; None where it does not."""
    extensions = certificate.extensions
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "its usage is not stated"
    right = usage == key_usage(certificate_sign=False) and not constraints.ca
    return None if right and set(extended) == set(_extended_usage(profile)) else "its usage differs"


def _wrong_time(
    certificate: x509.Certificate, authority: x509.Certificate, now: datetime, window: timedelta
) -> str | None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        return f"it is not valid before {begin:%Y-%m-%d %H:%M} UTC"
    # A leaf that ends with its authority gains nothing from being issued again.
    if end - now > window or end >= authority.not_valid_after_utc:
        return None
    return f"it expired on {end:%Y-%m-%d}" if end <= now else f"it expires on {end:%Y-%m-%d}"


def _subject(wanted: Identity) -> x509.Name:
    parts = ((NameOID.ORGANIZATION_NAME, wanted.organization), (NameOID.COMMON_NAME, wanted.common_name))
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text])


def _alternative_names(wanted: Identity) -> list[x509.GeneralName]:
    return [*map(x509.DNSName, wanted.dns), *map(x509.IPAddress, wanted.addresses)]


def _extended_usage(profile: LeafProfile) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([_USAGE_OIDS[usage] for usage in sorted(profile.usages)])


def _texts(names: Iterable[x509.GeneralName]) -> set[str]:
    return {f"{type(name).__name__} {name.value}" for name in names}
