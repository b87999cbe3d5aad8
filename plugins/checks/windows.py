"""Checks of a Windows host by itself: the counterparts of system, packages and network for the role windows."""

from __future__ import annotations

import re

from plugins.checks import system
from plugins.checks.expected import POD_MTU, Expected, tunnel_nic
from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, failed, note, ok
from plugins.inventory.fields import DNS_NAME
from plugins.windows import CONTAINERD, CONTAINERS, FOLDER, FOREIGN_RUNTIMES, served
from plugins.words import listed

LONGEST_NAME = 15  # characters; NetBIOS
# Outer IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14.
VXLAN_OVERHEAD = 50
LEAST_MTU = POD_MTU + VXLAN_OVERHEAD
_KINDS = ("Server", "Server Core")
_DISK = "C:"


def build(facts: HostFacts, expected: Expected) -> Verdict:
    """The release knows some builds only, and of each what it takes to run containers well."""
    seen = facts.text("os_build")
    number, _, revision = seen.partition(".")
    if not (number.isdecimal() and revision.isdecimal()):
        raise ValueError(f"{seen} as os_build, which cannot be read")
    known = expected.release.windows_builds
    wanted = f"one of {', '.join(known)}" if known else ""
    for version in known:
        base, _, least = version.partition(".")
        if number == base:
            if int(revision) >= int(least or 0):
                return ok(seen, wanted)
            return failed(seen, wanted, f"install updates, up to {version} or later")
    return failed(f"{seen} ({facts.may_be_empty('os_name')})", wanted)


def edition(facts: HostFacts, _: Expected) -> Verdict:
    """Kubernetes runs on Windows Server alone."""
    kind, architecture = facts.text("os_kind"), facts.text("architecture")
    good = kind in _KINDS and architecture == "amd64"
    return (ok if good else failed)(f"{kind} on {architecture}")


def powershell(facts: HostFacts, _: Expected) -> Verdict:
    """The steps are written for this one, and a policy may take most of the language away."""
    version, _space, mode = facts.text("powershell").partition(" ")
    return (ok if version.startswith("5.1.") and mode == "FullLanguage" else failed)(f"{version} {mode}".strip())


def disk(facts: HostFacts, expected: Expected) -> Verdict:
    """Free space on the system's disk, where images go."""
    free = facts.numbers("disk_free_mib")
    if _DISK not in free:
        raise ValueError(f"nothing for disk_free_mib of {_DISK}")
    least = expected.requirements.disk_mib
    return (ok if free[_DISK] >= least else failed)(
        f"{free[_DISK]} MiB free on {_DISK}", f"at least {least} MiB on {_DISK}"
    )


def hostname(facts: HostFacts, expected: Expected) -> Verdict:
    """What Windows cuts off a long name is missed by whoever looks for it; see system.hostname for the rest."""
    name = facts.text("hostname")
    if len(name) > LONGEST_NAME or DNS_NAME.fullmatch(name.lower()) is None:
        return failed(f"{name} ({len(name)} characters)")
    return system.hostname(facts, expected)


def pending_reboot(facts: HostFacts, _: Expected) -> Verdict:
    """What is installed on top of a reboot that has not been made fails, or hangs."""
    reasons = facts.may_be_empty("pending_reboot").splitlines()
    return note(listed(reasons, 4)) if reasons else ok("none")


def feature(facts: HostFacts, _: Expected) -> Verdict:
    """The feature is there, or can be installed without the installation medium."""
    state = facts.pairs("features").get(CONTAINERS, "")
    if not state:
        raise ValueError(f"nothing for features about {CONTAINERS}")
    good = state in {"Enabled", "EnablePending", "Disabled"}
    return (ok if good else failed)(f"{CONTAINERS} {state}")


def container_runtime(facts: HostFacts, _: Expected) -> Verdict:
    """Another runtime has the pipe, the networks and the images that ours will want."""
    services = facts.pairs("services")
    if missing := {CONTAINERD, *FOREIGN_RUNTIMES} - services.keys():
        raise ValueError(f"nothing for services about {', '.join(sorted(missing))}")
    strange = [name for name in FOREIGN_RUNTIMES if services[name] != "-"]
    own = re.compile(rf'"?{re.escape(FOLDER)}\\', re.IGNORECASE)
    parts = services[CONTAINERD].split(maxsplit=2)
    if len(parts) == 3 and not own.match(parts[2]):
        strange.append(f"{CONTAINERD} ({parts[2]})")
    return failed(", ".join(strange)) if strange else ok("none but ours")


def address(facts: HostFacts, expected: Expected) -> Verdict:
    """Tunnels end at the address."""
    wanted = expected.settings.address
    known = [str(found) for _, found in facts.addresses if not found.is_loopback]
    return (ok if str(wanted) in known else failed)(listed(known, 8) if known else "no address", f"{wanted}")


def nic(facts: HostFacts, _: Expected) -> Verdict:
    """The overlay's switch takes the NIC of the default route; which of two that is, it would have to guess."""
    physical = [each for each in facts.nics.values() if each.manager.startswith("physical ")]
    names = [each.manager.partition(" ")[2] for each in physical]
    if len(physical) != 1:
        return failed(listed(names, 8) if names else "none")
    return ok(names[0]) if tunnel_nic(facts, None) else failed(f"{names[0]} without a default route")


def mtu(facts: HostFacts, _: Expected) -> Verdict | None:
    """VXLAN's headers must fit beside what a pod sends."""
    found = tunnel_nic(facts, None)
    return None if found is None else (ok if found.mtu >= LEAST_MTU else failed)(found.mtu)


def ports(facts: HostFacts, expected: Expected) -> Verdict:
    """What the node will listen on is free, or its own service's already."""
    listening = facts.may_be_empty("listening").splitlines()
    services = facts.pairs("services")
    wanted = served(expected.cluster)
    taken = [port for port in wanted if port in listening]
    strange = [port for port in taken if not services.get(wanted[port], "-").startswith("Running ")]
    if strange:
        todo = f"stop what listens on {', '.join(strange)} (Get-NetTCPConnection -State Listen, Get-NetUDPEndpoint)"
        return failed(f"in use: {', '.join(strange)}", todo=todo)
    return ok(f"own: {', '.join(taken)}" if taken else "free")


WINDOWS_RULES: tuple[Rule[Expected], ...] = (
    Rule("privileges", "an administrator", "log in as a member of Administrators", system.privileges),
    Rule("os", "a build of the release", "update the host, or choose a release that knows this build", build),
    Rule("edition", "Windows Server on amd64", "reinstall the host with Windows Server", edition),
    Rule(
        "powershell",
        "Windows PowerShell 5.1 in full language mode",
        "lift the policy (AppLocker, Device Guard) that limits PowerShell for this user",
        powershell,
    ),
    Rule("cpus", "the release's requirements for the role", "give the host more CPUs", system.cpus),
    Rule("memory", "the release's requirements for the role", "give the host more memory", system.memory),
    Rule(
        "disk",
        f"the release's requirements for the role on {_DISK}",
        "make room (Disk Cleanup, DISM /Cleanup-Image /StartComponentCleanup) or enlarge the disk",
        disk,
    ),
    Rule(
        "hostname",
        f"an RFC 1123 name of at most {LONGEST_NAME} characters, the inventory's best of all",
        "rename it: Rename-Computer -NewName NAME -Restart",
        hostname,
    ),
    Rule(
        "time-sync",
        "a synchronised clock",
        "start the time service: Set-Service w32time -StartupType Automatic, Start-Service w32time, w32tm /resync",
        system.time_sync,
    ),
    Rule(
        "clock",
        f"within {system.CLOCK_LIMIT:g} s of this machine's clock (a note above {system.CLOCK_NOTE:g} s)",
        "set the clock that is wrong, the host's or this machine's, and keep both synchronised",
        system.clock,
    ),
    Rule(
        "pending-reboot",
        "no reboot that Windows waits for",
        f"the stage features reboots the host before it installs {CONTAINERS}, unless --reboot never forbids it",
        pending_reboot,
    ),
    Rule(
        "feature",
        f"the feature {CONTAINERS}, or one that can be installed",
        "give the host its installation files again: DISM /Online /Enable-Feature with /Source",
        feature,
    ),
    Rule(
        "container-runtime",
        f"no container runtime but ours below {FOLDER}",
        "uninstall it and reboot, or start from a fresh host",
        container_runtime,
    ),
    Rule(
        "address",
        "the inventory's address on the host",
        "correct address in the inventory, or give the host this address",
        address,
    ),
    Rule("nic", "one physical NIC that is up, with the default route", "disable the other NICs", nic),
    Rule(
        "mtu",
        f"at least {LEAST_MTU}: {POD_MTU} for pods and {VXLAN_OVERHEAD} for VXLAN's headers",
        "raise the NIC's MTU: netsh interface ipv4 set subinterface NAME mtu=N store=persistent",
        mtu,
    ),
    Rule(
        "port-in-use",
        "the ports of the kubelet, kube-proxy and the tunnels free, or the node's own",
        "stop what listens there",
        ports,
    ),
)
