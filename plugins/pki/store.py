"""The state folder's certificates: made when missing, kept when good, renewed in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from plugins.errors import UsageError
from plugins.pki import listing
from plugins.pki.authority import Authority, certificate_pem, check_authority, create_authority, fingerprint
from plugins.pki.decision import Refuse, authority_decision, key_decision
from plugins.pki.disk import exclusive
from plugins.pki.files import (
    StoredLeaf,
    read_authority,
    read_ca_certificate,
    read_key,
    read_leaf,
    write_authority,
    write_key,
    write_leaf,
)
from plugins.pki.issue import RENEW_DAYS, issue_leaf, reason_to_renew
from plugins.pki.keys import derived_secret, new_key, public_key_pem, secret_key_pem
from plugins.pki.profiles import AuthorityProfile, LeafProfile, Names, authority_name, identity
from plugins.pki.records import HeldAuthority, HeldKey, Leaf, Planned, Row
from plugins.pki.table import AUTHORITIES, LEAVES
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
        certificate = read_ca_certificate(self._authority_folder(name))
        return None if certificate is None else fingerprint(certificate)

    def ensure_authority(self, name: str, now: datetime, *, master: str | None) -> HeldAuthority:
        """Make the authority when there is none. `master`: fingerprint of the CA found on the master, or None.

        Raises UsageError when the master holds one that is not this folder's.
        """
        with self._writing():
            found = self._look_authority(name, now, master)
            if isinstance(found, HeldAuthority):
                return found
            made = create_authority(_row(self._authorities, name), self._cluster, now)
            write_authority(self._authority_folder(name), made, self._passphrase)
            self._loaded[name] = made
            return _held(made, found.reason)

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
                where = self._authority_folder(row.authority)
                raise UsageError(
                    f"{where}: there is no CA yet: it is made with the master's certificates, so do those first"
                )
            found = self._look_leaf(row, names, authority, now)
            if isinstance(found, Leaf):
                return found
            key = new_key()
            made = StoredLeaf(issue_leaf(authority, row, names, key.public_key(), now), key)
            write_leaf(self._leaf_file(row, names), made, self._passphrase)
            return _leaf(made, authority, found.reason)

    def plan_leaf(self, name: str, names: Names, now: datetime) -> Leaf | Planned:
        """Say what `ensure_leaf` would do once the authority is there. Writes nothing."""
        with self._lock:
            row = _row(self._leaves, name)
            authority = self._authority(row.authority, now)
            if authority is not None:
                return self._look_leaf(row, names, authority, now)
            identity(row, names)  # a name that does not fit is found by the dry run already
            return Planned(_title(row, names), "there is none yet, and its CA would be made first")

    def ensure_key(self, name: str, *, master: str | None) -> HeldKey:
        """Make a key pair that no certificate belongs to. `master`: the public key found on the master, PEM, or None.

        Raises UsageError when the master holds another one: what was signed or encrypted with it would be lost.
        """
        with self._writing():
            found = self._look_key(name, master)
            if isinstance(found, HeldKey):
                return found
            made = new_key()
            write_key(self._key_file(name), made, self._passphrase)
            return _held_key(made, found.reason)

    def plan_key(self, name: str, *, master: str | None) -> HeldKey | Planned:
        """Say what `ensure_key` would do, and raise what it would raise. Writes nothing."""
        with self._lock:
            return self._look_key(name, master)

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
        held = None if authority is None else _held(authority, None)
        decision = authority_decision(held.fingerprint if held else None, master)
        if isinstance(decision, Refuse):
            raise UsageError(f"{self._authority_folder(name)}: {decision.reason}: {decision.todo}")
        return held or Planned(self._authority_title(name), "there is none yet")

    def _look_key(self, name: str, master: str | None) -> HeldKey | Planned:
        file = self._key_file(name)
        key = read_key(file, self._passphrase)
        held = None if key is None else _held_key(key, None)
        theirs = master.strip() if master else None
        decision = key_decision(name, held.public_pem.strip() if held else None, theirs)
        if isinstance(decision, Refuse):
            raise UsageError(f"{file}: {decision.reason}: {decision.todo}")
        return held or Planned(f"{name} key of {self._cluster}", "there is none yet")

    def _key_file(self, name: str) -> Path:
        return self._folder / "keys" / f"{name}.pem"

    def _authority(self, name: str, now: datetime) -> Authority | None:
        folder, title = self._authority_folder(name), self._authority_title(name)
        authority = self._loaded.get(name) or read_authority(folder, self._passphrase)
        if authority is not None:
            check_authority(authority.certificate, title, now, str(folder))
            self._loaded[name] = authority
        return authority

    def _look_leaf(self, row: LeafProfile, names: Names, authority: Authority, now: datetime) -> Leaf | Planned:
        identity(row, names)  # raises for a name that does not fit, whatever is stored
        found = read_leaf(self._leaf_file(row, names), self._passphrase)
        if isinstance(found, str):
            return Planned(_title(row, names), found)
        reason = reason_to_renew(found.certificate, row, names, authority.certificate, now, self._renew_days)
        return _leaf(found, authority, None) if reason is None else Planned(_title(row, names), reason)

    def _authority_folder(self, name: str) -> Path:
        return self._folder / "authorities" / name

    def _authority_title(self, name: str) -> str:
        return authority_name(_row(self._authorities, name), self._cluster)

    def _leaf_file(self, row: LeafProfile, names: Names) -> Path:
        return self._folder / "leaves" / row.name / f"{names.host}.pem"

    @contextmanager
    def _writing(self) -> Iterator[None]:
        # Both: on some network file systems the folder's lock keeps out processes, but not threads.
        with self._lock, exclusive(self._folder):
            yield


def _row(rows: dict[str, _Profile], name: str) -> _Profile:
    if name not in rows:
        raise UsageError(f"certificates: no row {name!r} in the table: it has {', '.join(sorted(rows))}")
    return rows[name]


def _title(row: LeafProfile, names: Names) -> str:
    return f"{row.name} certificate of {names.host}"


def _held(authority: Authority, reason: str | None) -> HeldAuthority:
    certificate = authority.certificate
    return HeldAuthority(
        certificate_pem(certificate), fingerprint(certificate), changed=reason is not None, reason=reason
    )


def _held_key(key: ec.EllipticCurvePrivateKey, reason: str | None) -> HeldKey:
    return HeldKey(
        secret_key_pem(key), public_key_pem(key), derived_secret(key), changed=reason is not None, reason=reason
    )


def _leaf(leaf: StoredLeaf, authority: Authority, reason: str | None) -> Leaf:
    return Leaf(
        secret_key_pem(leaf.key),
        certificate_pem(leaf.certificate),
        certificate_pem(authority.certificate),
        changed=reason is not None,
        reason=reason,
    )
