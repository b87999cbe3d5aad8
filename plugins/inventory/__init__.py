"""The inventory: who the hosts are, and what the cluster made of them is like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from plugins.errors import InventoryError, UsageError
from plugins.inventory.model import ClusterSettings, HostSettings
from plugins.inventory.winrm import WITH_PASSWORD

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
    """Fetch the secrets of these hosts once, before any host is touched; InventoryError names all that are missing."""
    findings: list[str] = []
    for host in hosts:
        settings = host_settings(host)
        if settings.transport == "winrm":
            sources = {"data.winrm.password": settings.winrm.password}
            if settings.winrm.password is None and settings.winrm.authentication in WITH_PASSWORD:
                todo = "write where it comes from: {env: NAME}, {file: PATH} or {command: [...]}"
                findings.append(f"{host.name}: data.winrm.password: {settings.winrm.authentication} needs one; {todo}")
        else:
            sources = {
                "data.ssh.password": settings.ssh.password,
                "data.ssh.key_passphrase": settings.ssh.key_passphrase,
                "data.sudo.password": settings.sudo.password,
            }
        for key, source in sources.items():
            try:
                if source is not None:
                    source.read()
            except UsageError as error:
                findings.append(f"{host.name}: {key}: {error}")
    if findings:
        raise InventoryError(findings)
