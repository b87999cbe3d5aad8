"""Judge a certificate that a host has, by the facts of the inspecting verbs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from plugins.checks.facts import HostFacts
from plugins.checks.model import Verdict, failed, ok
from plugins.pki.issue import RENEW_DAYS, wrong_usage
from plugins.pki.profiles import LeafProfile
from plugins.words import listed

PROTECTED = "protected"  # on Windows: SYSTEM and administrators alone
_ACCESS = ("mode and owner", "access")


def judge_pair(
    facts: HostFacts, key: str, *, profile: LeafProfile, names: Collection[str], access: str = "600 root:root"
) -> Verdict:
    """Judge the pair whose facts end in `key`: its authority signed it for this use, it has the names, lasts, is kept.

    `names` are DNS names and addresses that must be among the subject alternative names; of a client, which has none,
    its common name. Facts: certificate, authority (both PEM) and key_mode, which is to be `access` ("600 root:root",
    on Windows protected), each with `key` after it.
    """
    leaf, authority = read_certificate(facts, f"certificate{key}"), read_certificate(facts, f"authority{key}")
    wanted = f"signed by the cluster's authority, for {listed(sorted(names))}, at least {RENEW_DAYS} days left"
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return failed("signed by another authority than the one beside it", wanted)
    have = names_in(leaf)
    if not set(names) <= set(have):
        return failed(f"for {listed(have)}", wanted)
    if usage := wrong_usage(leaf, profile):
        return failed(usage, f"{wanted}; for {listed(sorted(profile.usages))}")
    days = (leaf.not_valid_after_utc - datetime.now(UTC)).days
    if (mode := facts.text(f"key_mode{key}")) != access:
        return failed(
            f"a key with {_ACCESS[access == PROTECTED]} {mode}", f"{wanted}; a key that only its owner can read"
        )
    return (ok if days >= RENEW_DAYS else failed)(f"{days} days left", wanted)


def read_certificate(facts: HostFacts, name: str) -> x509.Certificate:
    """Read a fact with a certificate; ValueError where it is none."""
    try:
        return x509.load_pem_x509_certificate(facts.text(name).encode(errors="replace"))
    except ValueError:
        raise ValueError(f"the file with the {name.replace('_', ' ')} is missing or holds no certificate") from None


def names_in(leaf: x509.Certificate) -> list[str]:
    """Give the DNS names and addresses that a certificate is for; of one without any, its common name."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [str(each.value) for each in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    return [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]
