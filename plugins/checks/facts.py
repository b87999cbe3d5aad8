"""The facts of one host as typed values. What is missing or garbled is a ValueError that says so.

The forms are those of templates/lib/facts.sh, facts.ps1 and probe.sh: one text a fact, one thing a line, its words
separated by spaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from plugins.words import quoted


@dataclass(frozen=True)
class Nic:
    """One network interface; `mtu` in bytes, `manager` is networkd, NetworkManager, ifupdown or none.

    On Windows `name` is its index, and `manager` is physical or virtual with its name.
    """

    name: str
    mtu: int
    manager: str


@dataclass(frozen=True)
class Listen:
    """What became of listening on a port: `holder` is who has it, and empty where we listen."""

    holder: str

    @property
    def listening(self) -> bool:
        """Whether a probe is answered with our token."""
        return not self.holder


@dataclass(frozen=True)
class HostFacts:
    """All facts of one host, by name."""

    texts: Mapping[str, str]

    def text(self, name: str) -> str:
        """Give a fact that must not be empty."""
        if not (text := self.may_be_empty(name)):
            raise ValueError(f"nothing for {name}")
        return text

    def may_be_empty(self, name: str) -> str:
        """Give a fact for which "there is none" is an answer."""
        if name not in self.texts:
            raise ValueError(f"no answer to what {name} is")
        return self.texts[name].strip()

    def number(self, name: str) -> int:
        """Give a whole number."""
        return _number(name, self.text(name))

    def flag(self, name: str) -> bool:
        """Give a yes or no."""
        text = self.text(name)
        if text not in {"yes", "no"}:
            raise _garbled(name, text)
        return text == "yes"

    def lines(self, name: str, words: int) -> Iterator[tuple[str, ...]]:
        """Give each line split into `words` words, the last of which may hold spaces."""
        for line in self.may_be_empty(name).splitlines():
            parts = line.split(maxsplit=words - 1)
            if len(parts) != words:
                raise _garbled(name, line)
            yield tuple(parts)

    def numbers(self, name: str) -> dict[str, int]:
        """Give lines of a key and a whole number."""
        return {key: _number(name, value) for key, value in self.lines(name, 2)}

    def pairs(self, name: str) -> dict[str, str]:
        """Give lines of a key and one more word."""
        return {line[0]: line[1] for line in self.lines(name, 2)}

    @property
    def addresses(self) -> list[tuple[str, IPv4Address]]:
        """Every IPv4 address with the name of its interface."""
        found = []
        for nic, text in self.lines("addresses", 2):
            try:
                found.append((nic, IPv4Interface(text).ip))
            except ValueError:
                raise _garbled("addresses", f"{nic} {text}") from None
        return found

    @property
    def nics(self) -> dict[str, Nic]:
        """Every network interface by name."""
        return {name: Nic(name, _number("nics", mtu), manager) for name, mtu, manager in self.lines("nics", 3)}

    def listen(self, port: str) -> Listen:
        """What became of listening on `port`, such as udp:6081."""
        name = f"listen {port}"
        state, _, holder = self.text(name).partition(" ")
        if state == "listening":
            return Listen("")
        if state != "in-use" or not holder:
            raise _garbled(name, self.texts[name])
        return Listen(holder)


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise _garbled(name, text)
    return int(text)


def _garbled(name: str, text: str) -> ValueError:
    return ValueError(f"{quoted(text)} as {name}, which cannot be read")
