"""Faults that a simulated host can be told to have, and how they are written.

    HOST:KIND[:OPTION=VALUE,...]          a fault of the host as a whole
    HOST:WHERE:KIND[:OPTION=VALUE,...]    a fault at a place in its scripts

HOST and WHERE are patterns (`*`, `?`). WHERE is compared with a stage, a verb, a step's name, `STAGE/VERB`,
`STAGE/STEP`, and `start` or `STAGE/start` for the time before a script's first step.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from time import monotonic

from plugins.errors import UsageError
from plugins.words import quoted, suggestion


class Place(StrEnum):
    """What a kind of fault belongs to."""

    HOST = "host"
    SCRIPT = "script"


@dataclass(frozen=True)
class Kind:
    """One kind of fault: where it strikes, in words, and the options it takes."""

    place: Place
    says: str
    options: tuple[str, ...] = ()


KINDS = {
    "closed": Kind(Place.HOST, "the port is closed (for SECONDS, else for good)", ("seconds",)),
    "silent": Kind(Place.HOST, "the port accepts connections and says nothing"),
    "changed-host-key": Kind(
        Place.HOST, "the host shows another key than the one in known_hosts, or a certificate of another CA"
    ),
    "refuse-login": Kind(Place.HOST, "every key and password is refused"),
    "cut-sending": Kind(Place.HOST, "the connection is lost while the script is sent"),
    "refuse-sudo": Kind(Place.HOST, "the user may not use sudo"),
    "ask-password": Kind(Place.HOST, "sudo wants a password, though the inventory knows of none"),
    "require-tty": Kind(Place.HOST, "sudo wants a terminal"),
    "slow": Kind(Place.HOST, "every reply takes SECONDS (default 0.2)", ("seconds",)),
    "locked": Kind(Place.HOST, "a script of OWNER has the host's lock (SECONDS, else for good)", ("owner", "seconds")),
    "cluster-locked": Kind(
        Place.HOST, "a run of OWNER has the cluster's lock on this host (SECONDS, else for good)", ("owner", "seconds")
    ),
    "want-reboot": Kind(Place.HOST, "the next package that is installed asks for a reboot"),
    "slow-reboot": Kind(Place.HOST, "a reboot takes SECONDS", ("seconds",)),
    "no-return": Kind(Place.HOST, "the host does not come back from a reboot"),
    "no-reboot": Kind(Place.HOST, "a reboot only cuts the connections: the boot id stays the same"),
    "cut-network": Kind(Place.HOST, "the NIC's move into its bridge cuts all connections, new ones included"),
    "lose-network": Kind(
        Place.HOST, "the NIC's move into its bridge fails: the host is away until it takes the change back by itself"
    ),
    "firewall": Kind(Place.HOST, "nothing gets through to PORT (6081, udp/6081), else to any", ("port",)),
    "clock-skew": Kind(Place.HOST, "the clock is SECONDS (default 60) ahead, or behind where negative", ("seconds",)),
    "unhealthy": Kind(
        Place.HOST,
        "SERVICE (else every one of Kubernetes) starts and does not become well; its last lines are OUTPUT",
        ("service", "output"),
    ),
    "fact": Kind(Place.HOST, "a look sees NAME=VALUE instead of what is there", ("*",)),
    "certificate": Kind(
        Place.HOST, "a Windows host shows a certificate that IS self-signed (default), expired or other-name", ("is",)
    ),
    "quota": Kind(
        Place.HOST, "a Windows host has no more shells (default), processes or operations for the user", ("of",)
    ),
    "http": Kind(Place.HOST, "a Windows host answers with HTTP STATUS (default 500)", ("status",)),
    "forget-keys": Kind(Place.HOST, "a Windows host loses the keys of encrypted messages: it answers HTTP status 400"),
    "clixml": Kind(Place.HOST, "a Windows host writes standard error as PowerShell's XML, progress included"),
    "fail": Kind(Place.SCRIPT, "the step fails with OUTPUT", ("output",)),
    "disk-full": Kind(Place.SCRIPT, "a step that changes something fails for want of space"),
    "hang": Kind(Place.SCRIPT, "the step, or the script at its start, hangs (SECONDS, else for good)", ("seconds",)),
    "cut": Kind(
        Place.SCRIPT,
        "the connection is lost AT before the step (default) or the middle of its line; the script goes on to its end",
        ("at",),
    ),
    "garbage": Kind(Place.SCRIPT, "NUL, escape codes, invalid UTF-8, a line of 1 MB and forged step lines come first"),
    "mute": Kind(Place.SCRIPT, "the script ends before its first line with exit status 0"),
    "exit": Kind(
        Place.SCRIPT, "the script ends here with STATUS (default 1) and without its end line", ("status", "output")
    ),
    "crash": Kind(Place.SCRIPT, "the host goes down, and comes up again after SECONDS", ("seconds",)),
}
COMMON = ("times", "after")
_CHOICES = {
    "at": ("before", "middle"),
    "is": ("self-signed", "expired", "other-name"),
    "of": ("shells", "processes", "operations"),
}
_NUMBERS = {"seconds": r"-?\d+(\.\d+)?", "times": r"\d+", "after": r"\d+", "status": r"\d{1,3}"}
_OPTION = re.compile(r",(?=[\w.-]+=)")


@dataclass
class Fault:
    """One fault: on each host `after` matches are let pass, then it strikes `times` times (0: always)."""

    host: str
    where: str
    kind: str
    options: dict[str, str] = field(default_factory=dict)
    since: float = field(default_factory=monotonic)
    seen: Counter[str] = field(default_factory=Counter)

    def text(self, name: str, default: str) -> str:
        """Give an option as text."""
        return self.options.get(name, default)

    def number(self, name: str, default: int) -> int:
        """Give an option as a whole number."""
        return int(self.options.get(name, default))

    def seconds(self, default: float) -> float:
        """Give the option `seconds`."""
        return float(self.options.get("seconds", default))

    @property
    def over(self) -> bool:
        """Whether a fault that lasts some seconds is over."""
        return monotonic() >= self.since + self.seconds(math.inf)

    def strikes(self, host: str) -> bool:
        """Count a match on a host; say whether the fault strikes at this one."""
        self.seen[host] += 1
        number = self.seen[host] - self.number("after", 0)
        times = self.number("times", 0)
        return number > 0 and (times == 0 or number <= times)


def parse_fault(text: str) -> Fault:
    """Read a fault as it is written; UsageError says what is wrong with it."""
    parts = text.split(":")
    if len(parts) >= 2 and parts[1] in KINDS:
        host, where, kind, rest = parts[0], "*", parts[1], ":".join(parts[2:])
    elif len(parts) >= 3:
        host, where, kind, rest = parts[0], parts[1], parts[2], ":".join(parts[3:])
    else:
        raise _wrong(text, f"write HOST:KIND or HOST:WHERE:KIND; {_kinds(parts[-1])}")
    if kind not in KINDS:
        raise _wrong(text, _kinds(kind))
    if not host:
        raise _wrong(text, "the host is missing; * stands for all")
    if KINDS[kind].place is Place.HOST and where != "*":
        raise _wrong(text, f"{kind} is a fault of the whole host: write {host}:{kind}")
    return Fault(host, where, kind, _options(text, kind, rest))


def _options(text: str, kind: str, rest: str) -> dict[str, str]:
    found: dict[str, str] = {}
    known = (*KINDS[kind].options, *COMMON)
    for part in _OPTION.split(rest) if rest else []:
        name, equals, value = part.partition("=")
        if not equals:
            raise _wrong(text, f"{quoted(part)} is no OPTION=VALUE")
        if name not in known and "*" not in known:
            raise _wrong(text, suggestion(name, known, f"the options of {kind} are"))
        if name in _NUMBERS and not re.fullmatch(_NUMBERS[name], value):
            raise _wrong(text, f"{name} is a number, not {quoted(value)}")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise _wrong(text, suggestion(value, _CHOICES[name], f"{name} is one of"))
        found[name] = value
    return found


def _kinds(word: str) -> str:
    return suggestion(word, list(KINDS), "the kinds of fault are")


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f"fault {quoted(text)}: {why}")


class FaultBook:
    """All faults of one set of hosts."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = list(faults)

    def add(self, fault: Fault) -> None:
        """Add one; the first that matches is the one that strikes."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def of(self, host: str, kinds: Iterable[str]) -> Iterator[Fault]:
        """Go through the host's faults of these kinds, whether they strike or not."""
        wanted = frozenset(kinds)
        return (each for each in self._faults if each.kind in wanted and fnmatchcase(host, each.host))

    def strike(self, host: str, kinds: Iterable[str], names: tuple[str, ...]) -> Fault | None:
        """Give the fault that strikes `host` at the place with these names, if there is one."""
        if not self._faults:
            return None
        for fault in self.of(host, kinds):
            if (fault.where == "*" or any(fnmatchcase(name, fault.where) for name in names)) and fault.strikes(host):
                return fault
        return None


def garbage() -> bytes:
    """Give output that a parser must survive; none of it may pass for a step."""
    return b"".join(
        [
            b"\0\0NUL bytes\0\n",
            b"\x1b[31;5mcolours\x1b[0m \x1b]0;title\x07 \x1b[2J\n",
            b"carriage\rreturns\r\n",
            b"\xff\xfe invalid \xc3\x28 UTF-8\n",
            b"[bold]markup[/bold] [/nothing] [link=file:///etc/passwd]x[/link]\n",
            b'@00000000000000000000000000000000 {"step":"forged","status":"changed","seconds":1}\n',
            b'{"step":"forged","status":"changed","seconds":1}\n',
            b'{"end":1}\n',
            b"x" * (1024 * 1024) + b"\n",
        ]
    )
