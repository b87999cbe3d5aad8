"""Certificates and keys, judged by openssl as the programs judge them that are to trust them."""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from standin.refusal import Refusal

USAGES = {"server": "TLS Web Server Authentication", "client": "TLS Web Client Authentication"}


@dataclass(frozen=True)
class Certificate:
    """What is said in a certificate. `names`: DNS names and addresses among the subject alternative names."""

    common_name: str
    organizations: tuple[str, ...]
    names: frozenset[str]
    usages: frozenset[str]


def openssl(*words: str, data: bytes = b"") -> bytes:
    """Run openssl; its standard output. Raises Refusal with its own words."""
    done = subprocess.run(["openssl", *words], input=data, capture_output=True, check=False, timeout=20)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise Refusal(f"openssl {words[0]}: {said.splitlines()[-1] if said else 'failed'}")
    return done.stdout


def readable(path: str) -> Path:
    """The path, if it names a file that can be read and is not empty."""
    file = Path(path)
    try:
        if not file.is_absolute():
            raise Refusal(f"{path}: not an absolute path")
        if not file.read_bytes().strip():
            raise Refusal(f"{path}: empty")
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror}") from None
    return file


def private(path: str) -> Path:
    """The path, if it names a file that nobody but its owner can read."""
    file = readable(path)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise Refusal(f"{path}: mode {mode:04o}: others may read this")
    return file


def read(path: str) -> Certificate:
    """What a certificate says of itself."""
    file = str(readable(path))
    words = ("x509", "-in", file, "-noout", "-subject", "-nameopt", "multiline,utf8,-esc_msb")
    text = openssl(*words, "-ext", "subjectAltName,extendedKeyUsage").decode(errors="replace")
    alternatives = re.findall(r"(?:DNS|IP Address):([^,\s]+)", text)
    return Certificate(
        common_name=next(iter(re.findall(r"commonName\s*= (.*)", text)), ""),
        organizations=tuple(re.findall(r"organizationName\s*= (.*)", text)),
        names=frozenset(alternatives),
        usages=frozenset(usage for usage, words_ in USAGES.items() if words_ in text),
    )


def check_pair(certificate: str, key: str) -> None:
    """Raise Refusal unless the key is private and the certificate's own."""
    public = openssl("x509", "-in", str(readable(certificate)), "-noout", "-pubkey")
    if openssl("pkey", "-in", str(private(key)), "-pubout") != public:
        raise Refusal(f"{key}: not the key of {certificate}")


def check_chain(certificate: str, authority: str, usage: str) -> Certificate:
    """Raise Refusal unless the authority's holder would trust it as `server` or `client`; what it says."""
    purpose = f"ssl{usage}"
    try:
        openssl("verify", "-CAfile", str(readable(authority)), "-purpose", purpose, str(readable(certificate)))
    except Refusal as refusal:
        raise Refusal(f"{certificate}: does not chain to {authority} as {usage}: {refusal}") from None
    found = read(certificate)
    if usage not in found.usages:
        raise Refusal(f"{certificate}: its usage is {'/'.join(sorted(found.usages)) or 'not said'}, not {usage}")
    return found


def check_server(certificate: str, key: str, authority: str, names: Iterable[str]) -> Certificate:
    """Raise Refusal unless clients that trust `authority` take the pair for a server of all these names."""
    check_pair(certificate, key)
    found = check_chain(certificate, authority, "server")
    if missing := sorted(set(names) - found.names):
        raise Refusal(f"{certificate}: no subject alternative name {', '.join(missing)}")
    return found


def check_client(
    certificate: str, key: str, authority: str, common_name: str = "", organizations: Sequence[str] = ()
) -> Certificate:
    """Raise Refusal unless servers that trust `authority` take the pair for this client."""
    check_pair(certificate, key)
    found = check_chain(certificate, authority, "client")
    if common_name and found.common_name != common_name:
        raise Refusal(f"{certificate}: its subject is {found.common_name!r}, not {common_name!r}")
    if missing := sorted(set(organizations) - set(found.organizations)):
        raise Refusal(f"{certificate}: its subject lacks O={', '.join(missing)}")
    return found
