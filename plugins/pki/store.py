"""Keys and certificates in the state folder: made when missing, kept when good, never half written.

`pki/authorities/NAME/` holds ca.pem and ca.key, put in place as one folder, once. `pki/leaves/NAME/HOST.pem`
holds certificate and key in one file, so that no moment shows a mismatch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from plugins.errors import UsageError
from plugins.pki import listing
from plugins.pki.authority import (
    Authority,
    check_authority,
    create_authority,
    fingerprint,
    load_authority,
    load_ca_certificate,
)
from plugins.pki.decision import Create, Refuse, authority_decision
from plugins.pki.disk import exclusive, exists, place_folder, read_file, read_private, write_private
from plugins.pki.issue import RENEW_DAYS, issue_leaf, reason_to_renew
from plugins.pki.keys import key_pem, load_key, new_key, secret_key_pem
from plugins.pki.profiles import (
    AUTHORITIES,
    LEAVES,
    AuthorityProfile,
    LeafProfile,
    Names,
    authority_name,
    identity,
)
from plugins.pki.records import HeldAuthority, Leaf, Planned, Row
from plugins.secret import Secret

_Profile = TypeVar("_Profile", AuthorityProfile, LeafProfile)


class Store:
    """The `pki` folder of one cluster. Threads may share a Store, and processes the folder.

    Times passed in are aware datetimes. Every call raises UsageError, with the file and what to do, when
    the folder holds something broken, the passphrase is wrong, or a name does not fit into a certificate.
    A broken authority is never replaced by a new one; a broken leaf is issued again.
    """

    def __init__(
        self,
        folder: Path,
        cluster: str,
        passphrase: Secret | None = None,
        *,
        authorities: Sequence[AuthorityProfile] = AUTHORITIES,
        leaves: Sequence[LeafProfile] = LEAVES,
        renew_days: int = RENEW_DAYS,
    ) -> None:
        self._folder, self._cluster, self._passphrase = folder, cluster, passphrase
        self._authorities = {row.name: row for row in authorities}
        self._leaves = {row.name: row for row in leaves}
        self._renew_days = renew_days
        self._loaded: dict[str, Authority] = {}
        self._lock = threading.Lock()

    def authority_fingerprint(self, name: str) -> str | None:
        """Return the fingerprint of the authority held here, or None. Needs no passphrase."""
        folder = self._authority_folder(name)
        if not exists(folder):
            return None
        file = folder / "ca.pem"
        return fingerprint(load_ca_certificate(_needed(read_file(file), file), str(file)))

    def ensure_authority(self, name: str, now: datetime, *, master: str | None) -> HeldAuthority:
        """Make the authority when there is none. `master`: fingerprint of the CA found on the master, or None.

        Raises UsageError when the master holds one that is not this folder's.
        """
        with self._writing():
            held = self._look_authority(name, now, master)
            if isinstance(held, HeldAuthority):
                return held
            made = create_authority(_row(self._authorities, name), self._cluster, now)
            files = {"ca.pem": _pem(made.certificate).encode(), "ca.key": key_pem(made.key, self._passphrase)}
            place_folder(self._authority_folder(name), files)
            self._loaded[name] = made
            return _held(made, held.reason)

    def plan_authority(self, name: str, now: datetime, *, master: str | None) -> HeldAuthority | Planned:
        """Say what `ensure_authority` would do, and raise what it would raise. Writes nothing."""
        with self._lock:
            return self._look_authority(name, now, master)

    def ensure_leaf(self, name: str, names: Names, now: datetime) -> Leaf:
        """Return the host's certificate of one row, issued again when there is a reason to.

        The row's authority must be there: `ensure_authority` comes first.
        """
        with self._writing():
            row = _row(self._leaves, name)
            authority = self._authority(row.authority, now)
            if authority is None:
                raise UsageError(f"{self._authority_folder(row.authority)}: no CA yet: it is made on the master first")
            found = self._look_leaf(row, names, authority, now)
            if isinstance(found, Leaf):
                return found
            key = new_key()
            certificate = issue_leaf(authority, row, names, key.public_key(), now)
            stored = _pem(certificate).encode() + key_pem(key, self._passphrase)
            write_private(self._leaf_file(row, names), stored)
            return Leaf(
                secret_key_pem(key), _pem(certificate), _pem(authority.certificate), changed=True, reason=found.reason
            )

    def plan_leaf(self, name: str, names: Names, now: datetime) -> Leaf | Planned:
        """Say what `ensure_leaf` would do once the authority is there. Writes nothing."""
        with self._lock:
            row = _row(self._leaves, name)
            authority = self._authority(row.authority, now)
            if authority is not None:
                return self._look_leaf(row, names, authority, now)
            identity(row, names)  # a name that does not fit is found by the dry run already
            return Planned(_title(row, names), "there is none yet, and its CA would be made first")

    def listing(self, now: datetime) -> list[Row]:
        """List every certificate of the folder, authorities first. Needs no passphrase and writes nothing."""
        return listing.rows(self._files(), now)

    def _files(self) -> Iterator[tuple[str, Path]]:
        for name in self._authorities:
            yield f"{name} CA", self._authority_folder(name) / "ca.pem"
        for name in self._leaves:
            for file in sorted((self._folder / "leaves" / name).glob("[!.]*.pem")):
                yield f"{name} {file.stem}", file

    def _look_authority(self, name: str, now: datetime, master: str | None) -> HeldAuthority | Planned:
        authority = self._authority(name, now)
        decision = authority_decision(fingerprint(authority.certificate) if authority else None, master)
        if isinstance(decision, Refuse):
            raise UsageError(f"{self._authority_folder(name)}: {decision.reason}: {decision.todo}")
        if authority is None or isinstance(decision, Create):
            return Planned(authority_name(_row(self._authorities, name), self._cluster), "there is none yet")
        return _held(authority, None)

    def _authority(self, name: str, now: datetime) -> Authority | None:
        folder = self._authority_folder(name)
        if name not in self._loaded:
            if not exists(folder):
                return None
            pem = _needed(read_file(folder / "ca.pem"), folder / "ca.pem")
            key = _needed(read_private(folder / "ca.key"), folder / "ca.key")
            self._loaded[name] = load_authority(pem, key, self._passphrase, str(folder))
        title = authority_name(_row(self._authorities, name), self._cluster)
        check_authority(self._loaded[name].certificate, title, now, str(folder))
        return self._loaded[name]

    def _look_leaf(self, row: LeafProfile, names: Names, authority: Authority, now: datetime) -> Leaf | Planned:
        file, title = self._leaf_file(row, names), _title(row, names)
        identity(row, names)  # raises for a name that does not fit, whatever is stored
        data = read_private(file)
        if data is None:
            return Planned(title, "there is none yet")
        try:
            certificate = x509.load_pem_x509_certificate(data)
            key = load_key(data, self._passphrase, str(file))
            matches = key.public_key() == certificate.public_key()
        except (ValueError, UnsupportedAlgorithm, UsageError):
            return Planned(title, "the stored one cannot be read")
        if not matches:
            return Planned(title, "the stored key and certificate do not belong together")
        reason = reason_to_renew(certificate, row, names, authority.certificate, now, self._renew_days)
        if reason is not None:
            return Planned(title, reason)
        return Leaf(secret_key_pem(key), _pem(certificate), _pem(authority.certificate), changed=False, reason=None)

    def _authority_folder(self, name: str) -> Path:
        return self._folder / "authorities" / name

    def _leaf_file(self, row: LeafProfile, names: Names) -> Path:
        return self._folder / "leaves" / row.name / f"{names.host}.pem"

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, exclusive(self._folder):
            yield


def _row(rows: dict[str, _Profile], name: str) -> _Profile:
    if name not in rows:
        raise UsageError(f"certificates: no row {name!r} in the table: it has {', '.join(sorted(rows))}")
    return rows[name]


def _needed(data: bytes | None, file: Path) -> bytes:
    if data is None:
        raise UsageError(
            f"{file}: is missing while its folder is there: restore the folder from a backup, as no new CA is made "
            "in place of a broken one"
        )
    return data


def _held(authority: Authority, reason: str | None) -> HeldAuthority:
    certificate = authority.certificate
    return HeldAuthority(_pem(certificate), fingerprint(certificate), changed=reason is not None, reason=reason)


def _title(row: LeafProfile, names: Names) -> str:
    return f"{row.name} certificate of {names.host}"


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
