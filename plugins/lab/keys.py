"""The lab's own secrets: the login key, each host's host keys, the sudo password."""

from __future__ import annotations

import secrets
import uuid
from ipaddress import IPv4Address
from pathlib import Path

from plugins.lab.commands import run
from plugins.lab.host import HostFolder, write_private
from plugins.lab.options import USER, LabPaths


def ensure_login_key(paths: LabPaths) -> str:
    """Make the login key once; returns its public line."""
    paths.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    public = paths.key_file.with_suffix(".pub")
    if not (paths.key_file.exists() and public.exists()):
        paths.key_file.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{USER}@lab", "-f", str(paths.key_file)])
    return public.read_text().strip()


def ensure_host_keys(folder: HostFolder) -> list[Path]:
    """Make a host's SSH keys once, outside of it: so that they are known before the first login."""
    place = folder.path / "keys"
    (place / "etc" / "ssh").mkdir(mode=0o700, parents=True, exist_ok=True)
    run(["ssh-keygen", "-A", "-f", str(place)])
    return sorted((place / "etc" / "ssh").glob("ssh_host_*"))


def ensure_machine_id(folder: HostFolder) -> str:
    """A host's machine id (32 hexadecimal digits); it keeps it when it is made bare again."""
    file = folder.path / "keys" / "machine-id"
    if not file.exists():
        write_private(file, uuid.uuid4().hex)
    return file.read_text()


def known_hosts_lines(address: IPv4Address, public_keys: list[str]) -> list[str]:
    """Lines of a known_hosts file for a host; `public_keys`: texts of its .pub files."""
    return [f"{address} {' '.join(key.split()[:2])}" for key in public_keys]


def ensure_password(file: Path) -> str:
    """A random password, made once and kept in a file of mode 0600."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(18) + "\n")
    return file.read_text().strip()
