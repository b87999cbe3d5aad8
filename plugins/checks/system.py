"""Checks of a host by itself: who we are there, what it runs, and how big it is."""

from __future__ import annotations

from plugins.checks.clock import HERE, offset
from plugins.checks.expected import TOOLS, Expected
from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, at_least, failed, note, ok
from plugins.inventory.fields import DNS_NAME

DISK_LEFT_MIB = 512  # for databases and logs, once the packages are there
INODES_LEFT = 20_000
CLOCK_NOTE, CLOCK_LIMIT = 2.0, 30.0  # seconds


def privileges(facts: HostFacts, _: Expected) -> Verdict:
    """Changing a host takes root. The library runs for nobody else, so facts have been told to root."""
    return ok("root") if facts.texts else failed("no fact at all")


def tools(facts: HostFacts, _: Expected) -> Verdict:
    """Scripts use these before anything is installed."""
    paths = facts.pairs("tools")
    missing = [name for name in TOOLS if paths.get(name, "-") == "-"]
    if not missing:
        return ok("all of them")
    packages = " ".join(sorted({TOOLS[name] for name in missing}))
    return failed(f"no {', '.join(missing)}", todo=f"install them: apt-get install {packages}")


def system(facts: HostFacts, expected: Expected) -> Verdict:
    """The release knows the packages of some operating systems only, and Kubernetes runs on fewer."""
    kubernetes = expected.cluster.kubernetes
    name, version = facts.text("os_id"), facts.texts.get("os_version", "").strip()
    seen = f"{name} {version or '(no version: testing or unstable)'}"
    platforms = expected.release.platforms_for(kubernetes=kubernetes)
    if seen in platforms:
        return ok(seen, f"one of {', '.join(platforms)}")
    overlay = kubernetes and seen in expected.release.platforms_for(kubernetes=False)
    todo = "reinstall the host; or write kubernetes: false in the defaults, for the overlay alone" if overlay else ""
    return failed(seen, f"one of {', '.join(platforms)}{', for Kubernetes' if kubernetes else ''}", todo)


def systemd(facts: HostFacts, _: Expected) -> Verdict:
    """Services are started and kept by systemd."""
    return ok("systemd") if facts.flag("systemd") else failed("another process 1")


def cpus(facts: HostFacts, expected: Expected) -> Verdict:
    """Processors that are switched on and may be used."""
    return at_least(facts.number("cpus"), expected.requirements.cpus, "CPUs")


def memory(facts: HostFacts, expected: Expected) -> Verdict:
    """Memory as the kernel reports it."""
    return at_least(facts.number("memory_mib"), expected.requirements.memory_mib, "MiB")


def disk(facts: HostFacts, expected: Expected) -> Verdict:
    """Free space, which is asked for in full only as long as something is to be installed."""
    free = facts.numbers("disk_free_mib")
    states = {name: state for name, state, _ in facts.lines("packages", 3)}
    installed = bool(states) and set(states.values()) == {"installed"}
    wanted = {"/": DISK_LEFT_MIB, "/var": DISK_LEFT_MIB if installed else expected.requirements.disk_mib}
    if missing := wanted.keys() - free.keys():
        raise ValueError(f"nothing for disk_free_mib of {', '.join(sorted(missing))}")
    verdict = ok if all(free[folder] >= least for folder, least in wanted.items()) else failed
    seen = ", ".join(f"{free[folder]} MiB free in {folder}" for folder in wanted)
    return verdict(seen, ", ".join(f"at least {least} MiB in {folder}" for folder, least in wanted.items()))


def inodes(facts: HostFacts, _: Expected) -> Verdict:
    """Room for new files; some file systems (btrfs) have no fixed number."""
    free = facts.numbers("inodes_free")
    seen = ", ".join(f"{number} free in {folder}" for folder, number in free.items()) or "no fixed number of them"
    return (ok if all(number >= INODES_LEFT for number in free.values()) else failed)(seen)


def hostname(facts: HostFacts, expected: Expected) -> Verdict:
    """Chassis and certificates go by the inventory's name; the host's own should be that and must be a name."""
    name = facts.text("hostname")
    if DNS_NAME.fullmatch(name) is None or name.lower().split(".")[0] in {"localhost", "(none)"}:
        return failed(name)
    if name.lower().split(".")[0] != expected.settings.name:
        todo = f"the node is called {expected.settings.name}, as in the inventory, whatever the host calls itself"
        return note(name, f"{expected.settings.name}, as in the inventory", todo)
    return ok(name)


def time_sync(facts: HostFacts, _: Expected) -> Verdict:
    """Certificates and leases go by the clock; without a time service it drifts."""
    synchronised = facts.text("time_synchronised")
    if synchronised not in {"yes", "no", "unknown"}:
        raise ValueError(f"{synchronised} as time_synchronised, which cannot be read")
    seen = {"yes": "synchronised", "no": "not synchronised", "unknown": "a kernel that does not say"}[synchronised]
    return (ok if synchronised == "yes" else note)(seen)


def clock(facts: HostFacts, _: Expected) -> Verdict:
    """Certificates are made by this machine's clock and read by the host's."""
    here = offset(facts)
    apart, seen = here.certain(HERE), here.words(HERE, "this machine")
    if apart > CLOCK_LIMIT:
        return failed(seen)
    return note(seen) if apart > CLOCK_NOTE else ok(seen)


RULES: tuple[Rule[Expected], ...] = (
    Rule("privileges", "root", "log in as root, or let the user run sudo (sudo.password)", privileges),
    Rule("tools", ", ".join(TOOLS), "install them with apt-get", tools),
    Rule("os", "a platform of the release", "reinstall the host, or choose a release that knows this system", system),
    Rule("systemd", "systemd as process 1", "boot the host with systemd", systemd),
    Rule("cpus", "the release's requirements for the role", "give the host more CPUs", cpus),
    Rule("memory", "the release's requirements for the role", "give the host more memory", memory),
    Rule(
        "disk",
        f"the release's requirements for the role in /var, {DISK_LEFT_MIB} MiB once the packages are installed, "
        f"and {DISK_LEFT_MIB} MiB in /",
        "make room (apt-get clean, journalctl --vacuum-size=100M) or enlarge the disk",
        disk,
    ),
    Rule("inodes", f"at least {INODES_LEFT} free inodes in / and /var", "delete files that nobody needs", inodes),
    Rule(
        "hostname",
        "an RFC 1123 name, the inventory's best of all",
        "set it on the host: hostnamectl set-hostname NAME",
        hostname,
    ),
    Rule("time-sync", "a synchronised clock", "start a time service: apt-get install systemd-timesyncd", time_sync),
    Rule(
        "clock",
        f"within {CLOCK_LIMIT:g} s of this machine's clock (a note above {CLOCK_NOTE:g} s)",
        "set the clock that is wrong, the host's or this machine's, and keep both synchronised",
        clock,
    ),
)
