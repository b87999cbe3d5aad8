"""Host keys: known_hosts files read once, checked strictly, and new keys added without losing a line."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko

from plugins.errors import UsageError

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
    key is accepted for this run only. Raises UsageError where a file, or a line of it, cannot be read.
    """

    def __init__(self, files: Sequence[Path], accept_into: Path | None, *, record: bool = True) -> None:
        self.files = tuple(files)
        self.accept_into = accept_into
        self._record = record
        self._lock = threading.Lock()
        self._plain: dict[str, list[paramiko.PKey]] = {}
        self._hashed = paramiko.HostKeys()
        for file in (*self.files, *([accept_into] if accept_into else [])):
            for (name, kind), key in _keys_in(file).items():
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
        """Take a new key; raise UnknownHostKeyError where only known ones are, UsageError where it cannot be kept."""
        if self.accept_into is None:
            raise UnknownHostKeyError(name, key)
        with self._lock:
            self._plain.setdefault(name, []).append(key)
            if self._record:
                try:
                    _append(self.accept_into, f"{name} {key.get_name()} {key.get_base64()}\n")
                except OSError as error:
                    raise UsageError(f"{self.accept_into}: new host keys cannot be kept ({error.strerror})") from None


def _keys_in(file: Path) -> dict[tuple[str, str], paramiko.PKey]:
    """Give the keys of one file, which need not be there: by name and kind the first."""
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        todo = "correct its owner and mode, or ssh.known_hosts in the inventory (state_folder in config.yaml)"
        raise UsageError(f"{file}: known host keys cannot be read from it ({error.strerror}); {todo}") from None
    found: dict[tuple[str, str], paramiko.PKey] = {}
    for number, line in enumerate(lines, 1):
        entry = _entry(line, f"{file}, line {number}")
        if entry is not None:
            for name in entry.hostnames:
                found.setdefault((name, entry.key.get_name()), entry.key)
    return found


def _entry(line: bytes, where: str) -> paramiko.hostkeys.HostKeyEntry | None:
    # Only a comment has other letters, in whatever encoding.
    fields = line.decode(errors="replace").split()
    # A host that only an authority vouches for stays unknown, as paramiko checks no certificates of hosts.
    if not fields or fields[0].startswith("#") or fields[0] == "@cert-authority":
        return None
    if fields[0] == "@revoked":
        raise UsageError(f"{where}: revoked keys are not supported; leave the line out of the file for these hosts")
    try:
        return paramiko.hostkeys.HostKeyEntry.from_line(" ".join(fields))
    except Exception:  # noqa: BLE001  # paramiko takes damaged data apart without looking
        raise UsageError(f"{where}: the host key is damaged; remove the line, or write the key anew") from None


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
