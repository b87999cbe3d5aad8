"""Checks of the package manager: can what the release wants be installed."""

from __future__ import annotations

from plugins.checks.expected import Expected
from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, failed, note, ok
from plugins.words import listed


def source(facts: HostFacts, expected: Expected) -> Verdict:
    """Each package is installed, or in the lists, or there is at least a source that answers."""
    states = {name: state for name, state, _ in facts.lines("packages", 3)}
    wanted = [package.partition("=")[0] for package in expected.packages]
    if strangers := [name for name in wanted if states.get(name) not in {"installed", "available", "missing"}]:
        raise ValueError(f"nothing for packages about {', '.join(strangers)}")
    missing = [name for name in wanted if states[name] == "missing"]
    if not missing:
        available = [name for name in wanted if states[name] == "available"]
        return ok(f"{', '.join(available)} in the package lists" if available else "all installed")
    lines = [line.split(maxsplit=2) for line in facts.text("package_source").splitlines()]
    if any(len(line) < 2 for line in lines):
        raise ValueError(f"{facts.text('package_source')} as package_source, which cannot be read")
    dead = [" ".join([*line[:1], *line[2:]]) for line in lines if line[1] != "reachable"]
    seen = f"{', '.join(missing)} not in the package lists"
    if len(dead) == len(lines):
        return failed(f"{seen}, and no source that answers: {listed(dead, 4)}")
    todo = "the lists are brought up to date before the install; should that fail, look at the sources"
    return note(f"{seen}; sources answer{f', but not {listed(dead, 4)}' if dead else ''}", todo=todo)


def state(facts: HostFacts, _: Expected) -> Verdict:
    """What another run, or another person, left half done or is doing."""
    unfinished = [name for _, name, _ in facts.lines("packages_unfinished", 3)]
    holder = " ".join(reversed(facts.may_be_empty("package_lock").split(maxsplit=1)))
    seen = []
    if unfinished:
        seen.append(f"left in the middle: {listed(unfinished, 8)}")
    if holder:
        seen.append(f"the lock held by {holder.replace(' ', ' (process ', 1)})")
    return note(", ".join(seen)) if seen else ok("nothing half done")


RULES: tuple[Rule[Expected], ...] = (
    Rule(
        "package-source",
        "the release's packages installed, in the package lists, or a source that answers",
        "mend the network, the proxy (Acquire::http::Proxy) or the sources in /etc/apt, then run apt-get update",
        source,
    ),
    Rule(
        "package-state",
        "no package half installed, and nobody at work on packages",
        "the install finishes what is half done, and waits five minutes for whoever holds the lock",
        state,
    ),
)
