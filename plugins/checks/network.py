"""Checks of a host's own network: address, NIC, MTU, ports, datapath, and whether another cluster has it."""

from __future__ import annotations

from plugins.checks.expected import GENEVE_OVERHEAD, POD_MTU, Expected, tunnel_nic
from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, failed, ok
from plugins.inventory.model import Role
from plugins.words import listed

LEAST_MTU = POD_MTU + GENEVE_OVERHEAD
MANAGERS = ("networkd",)
NAME_MAX = 15  # characters of a device's name: IFNAMSIZ of linux/if.h, less the NUL


def address(facts: HostFacts, expected: Expected) -> Verdict:
    """Tunnels end at the address, so it is the host's, on the NIC that carries them."""
    wanted = expected.settings.address
    there = [nic for nic, found in facts.addresses if found == wanted]
    carrier = tunnel_nic(facts, expected.settings.nic)
    if not there:
        known = [f"{found} on {nic}" for nic, found in facts.addresses if not found.is_loopback]
        return failed(listed(known, 8) if known else "no address", f"{wanted}")
    where = f"{wanted} on {carrier.name if carrier else 'a NIC'}"
    if carrier is None or not {carrier.name, f"br{carrier.name}"} & set(there):
        todo = f"write nic: {there[0]} in the inventory, or the address of the other NIC"
        return failed(f"{wanted} on {', '.join(there)}", where, todo)
    return ok(f"{wanted} on {there[0]}", where)


def nic(facts: HostFacts, expected: Expected) -> Verdict:
    """The NIC of the inventory, or else of the default route, is there."""
    wanted = expected.settings.nic
    found = tunnel_nic(facts, wanted)
    if found is None and wanted:
        known = listed(sorted(facts.nics), 12)
        return failed(known, wanted, "write the name of one of these NICs in the inventory")
    if found is None:
        return failed("no default route")
    if expected.settings.nic_bridge and len(found.name) > NAME_MAX - len("br"):
        todo = "give the NIC a shorter name (a .link file), or write nic_bridge: false"
        return failed(f"{found.name}, with no room for the name of its bridge", todo=todo)
    gateway = "" if wanted else facts.may_be_empty("default_gateway")
    return ok(f"{found.name} with default gateway {gateway}" if gateway else found.name, wanted or "")


def nic_manager(facts: HostFacts, expected: Expected) -> Verdict | None:
    """Moving the NIC into a bridge means to rewrite the configuration of whoever manages it."""
    found = tunnel_nic(facts, expected.settings.nic)
    if found is None:
        return None
    if not expected.settings.nic_bridge:
        return ok(found.manager, "any (nic_bridge is false)")
    if f"br{found.name}" in facts.nics:
        return ok(f"{found.name} is in br{found.name} already")
    return (ok if found.manager in MANAGERS else failed)(f"{found.name} managed by {found.manager}")


def mtu(facts: HostFacts, expected: Expected) -> Verdict | None:
    """The tunnel's headers must fit beside what a pod sends."""
    found = tunnel_nic(facts, expected.settings.nic)
    if found is None:
        return None
    seen, setting = f"{found.mtu} on {found.name}", expected.settings.mtu
    # The move into the bridge is what sets the NIC's MTU; before and after it, the NIC has what it has.
    to_be_set = expected.settings.nic_bridge and f"br{found.name}" not in facts.nics
    if setting is not None and setting != found.mtu and not (to_be_set or setting < found.mtu):
        return failed(seen, f"{setting}", "raise the NIC's MTU, or lower mtu in the inventory")
    effective = found.mtu if setting is None else setting
    if effective < LEAST_MTU:
        todo = "" if setting is None else f"write mtu: {LEAST_MTU} or more in the inventory"
        return failed(seen if setting is None else f"{seen}, mtu: {setting} in the inventory", todo=todo)
    return ok(seen if setting in {None, found.mtu} else f"{seen}, mtu: {setting} in the inventory")


def ports(facts: HostFacts, expected: Expected) -> Verdict:
    """What OVN and Kubernetes will listen on is free, or theirs already."""
    ovs = bool(facts.may_be_empty("ovn_encap_ip") or facts.may_be_empty("system_id"))
    seen, strangers = [], []
    for port, program in expected.ports.items():
        holder = facts.listen(port).holder
        if holder:
            seen.append(f"{port} in use by {holder}")
        if holder and not (holder == program if program else _is_tunnel(holder, ovs=ovs)):
            strangers.append(port)
    wanted = f"{', '.join(expected.ports)} free, or the cluster's own"
    if strangers:
        return failed(", ".join(seen), wanted, f"stop what listens on {', '.join(strangers)} (ss -lntup)")
    return ok(", ".join(seen) or "free", wanted)


def _is_tunnel(holder: str, *, ovs: bool) -> bool:
    # Any tunnel device of the kernel's holds it in the same way; where Open vSwitch is, it is taken for its own.
    return holder == "ovs-vswitchd" or holder.startswith("Open vSwitch") or (ovs and holder == "the kernel")


def datapath(facts: HostFacts, expected: Expected) -> Verdict:
    """Open vSwitch switches packets in the kernel by its modules, or in user space through TUN devices."""
    if expected.settings.datapath == "netdev":
        todo = "make /dev/net/tun available (modprobe tun; in a container: pass the device in)"
        wanted = "/dev/net/tun"
        return ok("there", wanted) if facts.flag("tun_device") else failed("no such device", wanted, todo)
    states = facts.pairs("modules")
    missing = [name for name in expected.modules if states.get(name) not in {"loaded", "available"}]
    wanted = f"kernel modules {', '.join(expected.modules)}"
    return failed(f"no module {', '.join(missing)}", wanted) if missing else ok("loaded or ready to load", wanted)


def foreign_cluster(facts: HostFacts, expected: Expected) -> Verdict:
    """A host that another OVN holds would leave that one without a word."""
    remotes = [remote.strip() for remote in facts.may_be_empty("ovn_remote").split(",") if remote.strip()]
    # scheme:ADDRESS:PORT, or unix:PATH for the databases of this very host.
    own = {str(expected.master), *(["/"] if expected.settings.role is Role.MASTER else [])}
    strange = [
        remote
        for remote in remotes
        if (remote.split(":")[1][:1] if remote.startswith("unix:") else remote.partition(":")[2].rpartition(":")[0])
        not in own
    ]
    wanted = f"no OVN but this cluster's (master {expected.master})"
    if strange:
        return failed(f"ovn-remote {', '.join(strange)}, system-id {facts.may_be_empty('system_id') or 'none'}", wanted)
    return ok(f"ovn-remote {', '.join(remotes)}" if remotes else "none", wanted)


RULES: tuple[Rule[Expected], ...] = (
    Rule(
        "address",
        "the inventory's address on the NIC that carries the tunnels",
        "correct address in the inventory, or give the host this address",
        address,
    ),
    Rule(
        "nic",
        "the inventory's nic, or a default route whose NIC it is",
        "write nic: NAME in the inventory, or give the host a default route",
        nic,
    ),
    Rule(
        "nic-manager",
        f"{', '.join(MANAGERS)}, so that the NIC can move into a bridge",
        "let systemd-networkd manage the NIC (netplan: renderer: networkd), or write nic_bridge: false",
        nic_manager,
    ),
    Rule(
        "mtu",
        f"at least {LEAST_MTU}: {POD_MTU} for pods and {GENEVE_OVERHEAD} for Geneve's headers",
        "raise the NIC's MTU",
        mtu,
    ),
    Rule(
        "port-in-use",
        "the ports that OVN will listen on are free, or the cluster's own",
        "stop what listens there",
        ports,
    ),
    Rule(
        "datapath",
        "the release's kernel modules (datapath: system), or /dev/net/tun (datapath: netdev)",
        "install the kernel's modules (Ubuntu: linux-modules-extra-$(uname -r)), or write datapath: netdev",
        datapath,
    ),
    Rule(
        "foreign-cluster",
        "no OVN of another cluster",
        "take the host out of that cluster first: there ovn-sbctl chassis-del SYSTEM-ID, "
        "here ovs-vsctl remove Open_vSwitch . external_ids ovn-remote",
        foreign_cluster,
    ),
)
