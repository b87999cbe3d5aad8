"""The inventory: who the hosts are, and what the cluster made of them is like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from plugins.errors import InventoryError, UsageError
from plugins.inventory.model import ClusterSettings, HostSettings
from plugins.inventory.winrm import WITH_PASSWORD
from plugins.login_name import login_name
from plugins.paths import unreadable
from plugins.secret import SecretSource

if TYPE_CHECKING:  # the command line's --help needs the settings and not Nornir
    from nornir.core.inventory import Host

__all__ = ["cluster_settings", "host_settings", "read_secrets"]


def host_settings(host: Host) -> HostSettings:
    """Give the settings of a host that ValidatedInventory loaded."""
    settings = host.data.get("settings")
    if not isinstance(settings, HostSettings):
        raise TypeError(f"{host.name}: no settings; load the inventory with ValidatedInventory")
    return settings


def cluster_settings(host: Host) -> ClusterSettings:
    """Give the settings of the cluster that a host is in."""
    cluster = host.defaults.data.get("cluster")
    if not isinstance(cluster, ClusterSettings):
        raise TypeError(f"{host.name}: no cluster; load the inventory with ValidatedInventory")
    return cluster


def read_secrets(hosts: Iterable[Host]) -> None:
    """Fetch the secrets of these hosts once, and open their files, before any host is touched.

    InventoryError names all that are missing.
    """
    findings = [f"{host.name}: {key}: {problem}" for host in hosts for key, problem in _missing(host)]
    if findings:
        raise InventoryError(findings)


def _missing(host: Host) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of all that is needed to log in and not to be had."""
    settings = host_settings(host)
    # An SSH configuration may name the user.
    elsewhere = settings.transport == "memory" or (settings.transport == "ssh" and settings.ssh.config_file)
    if not host.username and not elsewhere:
        try:
            login_name()
        except UsageError as error:
            yield "username", str(error)
    yield from _unread(settings)


def _unread(settings: HostSettings) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of each secret and each file that is not to be had."""
    ssh, winrm = settings.ssh, settings.winrm
    sources: dict[str, SecretSource | None]
    files: dict[str, Path | None] = {}
    if settings.transport == "winrm":
        sources = {"data.winrm.password": winrm.password}
        files = {f"data.winrm.{key}": getattr(winrm, key) for key in ("ca_file", "certificate_file", "key_file")}
        if winrm.password is None and winrm.authentication in WITH_PASSWORD:
            todo = "write where it comes from: {env: NAME}, {file: PATH} or {command: [...]}"
            yield "data.winrm.password", f"{winrm.authentication} needs one; {todo}"
    else:
        sources = {
            "data.ssh.password": ssh.password,
            "data.ssh.key_passphrase": ssh.key_passphrase,
            "data.sudo.password": settings.sudo.password,
        }
        if settings.transport == "ssh":
            files = {"data.ssh.key_file": ssh.key_file}
    for key, source in sources.items():
        try:
            if source is not None:
                source.read()
        except UsageError as error:
            yield key, str(error)
    for key, file in files.items():
        if file is not None and (problem := unreadable(file)):
            yield key, problem
