"""Where an overlay's parts are: files on hosts, addresses of the databases, names of chassis."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid5

from nornir.core.task import Task

from plugins.context import RunContext, context_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role

KEY = "/etc/openvswitch/ovn-key.pem"
CERTIFICATE = "/etc/openvswitch/ovn-cert.pem"
AUTHORITY = "/etc/openvswitch/ovn-ca.pem"


def master_address(task: Task) -> str:
    """Give the underlay address of the master, where the databases listen."""
    everyone = (host_settings(host) for host in task.nornir.inventory.hosts.values())
    return next(str(settings.address) for settings in everyone if settings.role is Role.MASTER)


def databases(task: Task) -> tuple[str, str]:
    """Give how the northbound and the southbound database are reached: `ssl:ADDRESS:PORT`."""
    cluster, address = context_of(task).cluster, master_address(task)
    return f"ssl:{address}:{cluster.northbound_port}", f"ssl:{address}:{cluster.southbound_port}"


def chassis_id(context: RunContext, host: str) -> str:
    """Name a host's chassis: the same for the same cluster and host, also after the host was installed anew.

    A chassis that changed its name would leave its old row behind in the southbound database.
    """
    return str(uuid5(NAMESPACE_DNS, f"{host}.{context.cluster.name}.chassis"))


def services(role: Role) -> tuple[str, ...]:
    """Name the services that the overlay needs on a host: the packages' own, and the daemons.

    The packages' own stay active whatever becomes of the daemons that they start.
    """
    central = ("ovn-central", "ovn-ovsdb-server-nb", "ovn-ovsdb-server-sb", "ovn-northd")
    everywhere = ("openvswitch-switch", "ovsdb-server", "ovs-vswitchd", "ovn-host", "ovn-controller")
    return (*everywhere, *(central if role is Role.MASTER else ()))
