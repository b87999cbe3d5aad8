"""Authorities and leaves as certificates: what is in them, and when a leaf must be issued again."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.errors import StepError, UsageError
from plugins.pki.authority import (
    certificate_pem,
    check_authority,
    create_authority,
    fingerprint,
    host_fingerprint,
    key_usage,
    load_ca_certificate,
)
from plugins.pki.issue import issue_leaf, reason_to_renew
from plugins.pki.keys import new_key
from plugins.pki.profiles import Names, Usage
from plugins.pki.table import AUTHORITIES, LEAVES

NOW = datetime(2026, 5, 4, 12, 30, 15, 250_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
OVN = LEAVES[0]
NAMES = Names("demo", "linux-1", "cluster.local", (ip_address("10.142.0.3"),))
CA = create_authority(AUTHORITIES[0], "demo", NOW)

addresses = st.lists(st.ip_addresses(), max_size=4).map(tuple)
hosts = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
host_names = st.builds(Names, st.just("demo"), hosts, st.sampled_from(["cluster.local", "example.org"]), addresses)


def leaf(profile=OVN, names=NAMES, ca=CA, now=NOW, key=None):
    return issue_leaf(ca, profile, names, (key or new_key()).public_key(), now)


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@needs_openssl
def test_openssl_accepts_the_chain_for_both_purposes_and_no_other_name(tmp_path):
    """`openssl verify -x509_strict` says OK as server and as client, by DNS name and address."""
    now = datetime.now(UTC)
    ca = create_authority(AUTHORITIES[0], "demo", now)
    (tmp_path / "ca.pem").write_text(certificate_pem(ca.certificate))
    (tmp_path / "leaf.pem").write_text(certificate_pem(leaf(ca=ca, now=now)))
    verify = ["verify", "-x509_strict", "-CAfile", str(tmp_path / "ca.pem")]
    for purpose in ("sslserver", "sslclient"):
        for name in (
            ("-verify_hostname", "linux-1"),
            ("-verify_hostname", "linux-1.cluster.local"),
            ("-verify_ip", "10.142.0.3"),
        ):
            done = openssl(*verify, "-purpose", purpose, *name, str(tmp_path / "leaf.pem"))
            assert done.returncode == 0, done.stderr
    assert openssl(*verify, "-verify_hostname", "linux-2", str(tmp_path / "leaf.pem")).returncode != 0


@needs_openssl
def test_openssl_shows_the_extensions_as_the_table_wants_them(tmp_path):
    """Usage, names and key identifiers read back by another program; the CA's key signs and does nothing else."""
    (tmp_path / "ca.pem").write_text(certificate_pem(CA.certificate))
    (tmp_path / "leaf.pem").write_text(certificate_pem(leaf()))
    text = openssl("x509", "-in", str(tmp_path / "leaf.pem"), "-noout", "-text", "-purpose").stdout
    for wanted in (
        "CA:FALSE",
        "TLS Web Client Authentication, TLS Web Server Authentication",
        "DNS:linux-1, DNS:linux-1.cluster.local, IP Address:10.142.0.3",
        "Not Before: May  4 12:25:15 2026 GMT",
        "Not After : May  4 12:30:15 2027 GMT",
        "SSL client : Yes",
        "SSL server : Yes",
        "SSL server CA : No",
        "prime256v1",
        "Subject Key Identifier",
        "Authority Key Identifier",
    ):
        assert wanted in text
    text = openssl("x509", "-in", str(tmp_path / "ca.pem"), "-noout", "-text", "-purpose").stdout
    for wanted in ("CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "OVN CA of demo", "SSL server CA : Yes"):
        assert wanted in text


@needs_openssl
def test_the_fingerprint_is_what_openssl_shows(tmp_path):
    """An operator can compare it with `openssl x509 -fingerprint -sha256` on the master."""
    (tmp_path / "ca.pem").write_text(certificate_pem(CA.certificate))
    shown = openssl("x509", "-in", str(tmp_path / "ca.pem"), "-noout", "-fingerprint", "-sha256").stdout
    assert shown.strip().split("=")[1] == fingerprint(CA.certificate)


def test_an_authority_lasts_ten_years_from_five_minutes_ago():
    """A host whose clock is a little behind accepts it at once."""
    certificate = CA.certificate
    assert certificate.not_valid_before_utc == NOW.replace(microsecond=0) - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == NOW.replace(microsecond=0) + timedelta(days=3650)


def test_serial_numbers_are_random():
    """Two leaves of one host share neither serial number nor anything to guess it by."""
    serials = {leaf().serial_number for _ in range(20)}
    assert len(serials) == 20
    assert min(serials).bit_length() > 100


@given(names=host_names, days=st.integers(1, 5000), age=st.integers(0, 3640), window=st.integers(0, 400))
@settings(deadline=None, max_examples=60)
def test_a_fresh_leaf_needs_no_renewal(names, days, age, window):
    """Whatever the names, the term and the authority's age: no loop of renewals. It never outlives its CA."""
    profile, now = replace(OVN, days=days), NOW + timedelta(days=age)
    fresh = leaf(profile, names, now=now)
    assert reason_to_renew(fresh, profile, names, CA.certificate, now, window) is None
    assert fresh.not_valid_after_utc <= CA.certificate.not_valid_after_utc
    assert fresh.not_valid_before_utc >= CA.certificate.not_valid_before_utc


@given(seconds=st.integers(-400, 400 * 86400))
@settings(deadline=None)
def test_a_leaf_is_renewed_in_its_last_thirty_days(seconds):
    """Good from five minutes before it was issued until thirty days before its end; then never again."""
    certificate, now = leaf(), NOW.replace(microsecond=0) + timedelta(seconds=seconds)
    reason = reason_to_renew(certificate, OVN, NAMES, CA.certificate, now)
    left = certificate.not_valid_after_utc - now
    if seconds < -300:
        assert reason == "it is not valid before 2026-05-04 12:25 UTC"
    elif left > timedelta(days=30):
        assert reason is None
    else:
        assert reason == ("it expires on 2027-05-04" if left > timedelta(0) else "it expired on 2027-05-04")


@given(old=host_names, new=host_names)
@settings(deadline=None)
def test_names_decide_as_sets(old, new):
    """A leaf is kept exactly when host, domain and the set of addresses are the same; order does not matter."""
    reason = reason_to_renew(leaf(names=old), OVN, new, CA.certificate, NOW)
    same = (old.host, old.domain, set(old.addresses)) == (new.host, new.domain, set(new.addresses))
    assert (reason is None) is same


@given(addresses=addresses, order=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_addresses_does_not_matter(addresses, order):
    """A host whose addresses come in another order keeps its certificate."""
    shuffled = list(addresses)
    order.shuffle(shuffled)
    certificate = leaf(names=replace(NAMES, addresses=addresses))
    assert reason_to_renew(certificate, OVN, replace(NAMES, addresses=tuple(shuffled)), CA.certificate, NOW) is None


def test_the_reason_says_which_names_differ():
    """Both directions: what the certificate lacks, and what it has too much."""
    reason = reason_to_renew(leaf(), OVN, replace(NAMES, addresses=(ip_address("10.142.0.9"),)), CA.certificate, NOW)
    assert reason == "its names differ: lacks IPAddress 10.142.0.9, has IPAddress 10.142.0.3"


def test_another_authority_of_the_same_name_is_another_authority():
    """The signature counts, not the issuer's name."""
    twin = create_authority(AUTHORITIES[0], "demo", NOW)
    assert reason_to_renew(leaf(), OVN, NAMES, twin.certificate, NOW) == "it was issued by another authority"
    other = create_authority(AUTHORITIES[0], "other", NOW)
    assert reason_to_renew(leaf(), OVN, NAMES, other.certificate, NOW) == "it was issued by another authority"


def test_subject_and_usage_count():
    """A row that changes its usage, organization or common name has its leaves issued again."""
    certificate = leaf()
    client = replace(OVN, usages=frozenset({Usage.CLIENT}))
    assert reason_to_renew(certificate, client, NAMES, CA.certificate, NOW) == "its usage differs"
    nodes = replace(OVN, organization="system:nodes")
    assert reason_to_renew(certificate, nodes, NAMES, CA.certificate, NOW) == (
        "its subject is CN=linux-1, not CN=linux-1,O=system:nodes"
    )


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)])
def test_another_kind_of_key_is_renewed(key):
    """Only EC P-256 is ours."""
    assert reason_to_renew(leaf(key=key), OVN, NAMES, CA.certificate, NOW) == "its key is not EC P-256"


def test_a_certificate_without_extensions_is_renewed():
    """One that somebody else made with the authority's key states neither names nor usage."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "linux-1")])
    bare = (
        x509.CertificateBuilder(CA.certificate.subject, subject, new_key().public_key(), 1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=365))
        .sign(CA.key, hashes.SHA256())
    )
    assert "lacks DNSName linux-1" in str(reason_to_renew(bare, OVN, NAMES, CA.certificate, NOW))
    plain = replace(OVN, dns=(), addresses=())
    assert reason_to_renew(bare, plain, NAMES, CA.certificate, NOW) == "its usage is not stated"


def resigned(*replacements):
    """Our leaf, signed anew by the authority with some extensions replaced."""
    original, kinds = leaf(), {type(value) for value in replacements}
    builder = (
        x509.CertificateBuilder(CA.certificate.subject, original.subject, original.public_key(), 1)
        .not_valid_before(original.not_valid_before_utc)
        .not_valid_after(original.not_valid_after_utc)
    )
    kept = [extension.value for extension in original.extensions if type(extension.value) not in kinds]
    for value in (*kept, *replacements):
        builder = builder.add_extension(value, critical=False)
    return builder.sign(CA.key, hashes.SHA256())


@pytest.mark.parametrize(
    "extension",
    [x509.BasicConstraints(ca=True, path_length=None), key_usage(certificate_sign=True)],
    ids=["CA", "sign"],
)
def test_a_leaf_that_could_sign_is_renewed(extension):
    """Key usage and constraints count, not only the extended usage."""
    assert reason_to_renew(resigned(), OVN, NAMES, CA.certificate, NOW) is None
    assert reason_to_renew(resigned(extension), OVN, NAMES, CA.certificate, NOW) == "its usage differs"


def test_a_leaf_does_not_begin_before_its_authority():
    """The clock was set back by two minutes after the authority was made: the chain still holds."""
    certificate = leaf(now=NOW - timedelta(minutes=2))
    assert certificate.not_valid_before_utc == CA.certificate.not_valid_before_utc


def test_a_leaf_that_ends_with_its_authority_is_not_renewed_over_and_over():
    """Near the authority's end nothing is gained by issuing again."""
    end = CA.certificate.not_valid_after_utc
    certificate = leaf(now=end - timedelta(days=20))
    assert certificate.not_valid_after_utc == end
    assert reason_to_renew(certificate, OVN, NAMES, CA.certificate, end - timedelta(days=2)) is None


@pytest.mark.parametrize(
    ("name", "now", "words"),
    [
        ("OVN CA of other", NOW, "state folder of its own"),
        ("OVN CA of demo", CA.certificate.not_valid_before_utc - SECOND, "set this machine's clock"),
        ("OVN CA of demo", CA.certificate.not_valid_after_utc, "expired on 2036-05-01"),
    ],
)
def test_an_authority_that_cannot_be_used_is_an_error(name, now, words):
    """Another cluster's, not valid yet, expired: each says where and what to do."""
    with pytest.raises(UsageError, match=words) as caught:
        check_authority(CA.certificate, name, now, "state/pki/authorities/ovn")
    assert "state/pki/authorities/ovn" in str(caught.value)


def test_a_leaf_is_no_authority():
    """A leaf in the place of ca.pem is refused."""
    with pytest.raises(UsageError, match=r"ca\.pem"):
        load_ca_certificate(certificate_pem(leaf()).encode(), "x/ca.pem")


def test_the_fingerprint_of_what_a_host_sent():
    """Text around the block, as some tools write it, does not matter."""
    text = "subject=CN = OVN CA of demo\r\n" + certificate_pem(CA.certificate) + "\n\n"
    assert host_fingerprint(text, "master", "read CA") == fingerprint(CA.certificate)


PEM = certificate_pem(CA.certificate)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cat: /etc/ovn/ca.pem: \x1b[31mPermission denied\x1b[0m",
        PEM[:200],
        PEM.replace("M", "N", 3),
        PEM + PEM,
        PEM.replace("CERTIFICATE", "PRIVATE KEY"),
        "\udcff\x00" * 10,
        PEM + "x" * 70_000,
    ],
    ids=["empty", "other text", "cut", "damaged", "two", "a key", "no text", "too long"],
)
def test_anything_but_one_certificate_from_a_host_is_an_error(text):
    """It says host and step, and repeats nothing of the text: that might be a key, or escape codes."""
    with pytest.raises(StepError) as caught:
        host_fingerprint(text, "master", "read CA")
    message = str(caught.value)
    assert message.startswith("master: read CA: ")
    assert "\x1b" not in message
    assert "Permission" not in message
    assert PEM.splitlines()[2] not in message


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_no_text_from_a_host_breaks_the_parser(text):
    """Any text ends in a StepError, within a certificate's frame too."""
    for sent in (text, f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"):
        with pytest.raises(StepError):
            host_fingerprint(sent, "master", "read CA")
