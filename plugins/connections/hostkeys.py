"""Host keys: known_hosts files read once, checked strictly, and new keys added without losing a line."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko

if TYPE_CHECKING:
    from collections.abc import Sequence


class UnknownHostKeyError(paramiko.SSHException):
    """The host's key is in none of the files, and only known keys are accepted."""

    def __init__(self, name: str, key: paramiko.PKey) -> None:
        super().__init__(f"no known key for {name}")
        self.name, self.key = name, key


class HostKeyStore:
    """The known keys of one run: `files` are read, `accept_into` is where accepted new keys go, if anywhere.

    One store serves all hosts and threads; each file is read once. With `record` false (a dry run) a new
    key is accepted for this run only.
    """

    def __init__(self, files: Sequence[Path], accept_into: Path | None, *, record: bool = True) -> None:
        self.files = tuple(files)
        self.accept_into = accept_into
        self._record = record
        self._lock = threading.Lock()
        self._plain: dict[str, list[paramiko.PKey]] = {}
        self._hashed = paramiko.HostKeys()
        for file in (*self.files, *([accept_into] if accept_into else [])):
            if file.is_file():
                self._read(file)

    def _read(self, file: Path) -> None:
        keys = paramiko.HostKeys(str(file))
        for name in keys:
            for kind, key in keys[name].items():
                if name.startswith("|1|"):
                    self._hashed.add(name, kind, key)
                else:
                    self._plain.setdefault(name, []).append(key)

    def lookup(self, name: str) -> list[paramiko.PKey]:
        """Keys known for `name`, which is HOST, or [HOST]:PORT for a port other than 22."""
        with self._lock:
            hashed = self._hashed.lookup(name) if len(self._hashed) else None
            return [*self._plain.get(name, []), *(hashed.values() if hashed else [])]

    def accept(self, name: str, key: paramiko.PKey) -> None:
        """Take a new key, or raise UnknownHostKeyError where only known ones are accepted."""
        if self.accept_into is None:
            raise UnknownHostKeyError(name, key)
        with self._lock:
            self._plain.setdefault(name, []).append(key)
            if self._record:
                _append(self.accept_into, f"{name} {key.get_name()} {key.get_base64()}\n")


def _append(file: Path, line: str) -> None:
    """Add a line so that runs side by side lose none and a crash leaves no half line behind."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        # A writer that died in the middle may have left an open line.
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = "\n" + line
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class StorePolicy(paramiko.MissingHostKeyPolicy):
    """Hands a key that the client does not know to the store."""

    def __init__(self, store: HostKeyStore) -> None:
        self._store = store

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        """Paramiko's hook."""
        self._store.accept(hostname, key)


def prepare(client: paramiko.SSHClient, store: HostKeyStore, name: str) -> None:
    """Give `client` the keys known for `name`, so that it asks the server for a kind of key that it can check."""
    for key in store.lookup(name):
        client.get_host_keys().add(name, key.get_name(), key)
    client.set_missing_host_key_policy(StorePolicy(store))


def fingerprint(key: paramiko.PKey) -> str:
    """Show a key as OpenSSH does: `ssh-ed25519 SHA256:...`."""
    return f"{key.get_name()} {key.fingerprint}"
