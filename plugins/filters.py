"""Choosing hosts: by name, by role, by filter expression. A choice of nothing is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from nornir.core import Nornir
from nornir.core.inventory import Inventory

from plugins.errors import SelectionError
from plugins.inventory import host_settings
from plugins.inventory.model import HostSettings, Role
from plugins.words import listed, quoted, suggestion

_GRAMMAR = "write KEY=VALUE or KEY!=VALUE, with commas between several"
_PART = re.compile(r"\s*([^=!\s]+)\s*(!?=)\s*(.*?)\s*", re.DOTALL)
_KEYS: Mapping[str, Callable[[HostSettings], str]] = {
    "name": lambda host: host.name,
    "role": lambda host: host.role.value,
    "address": lambda host: str(host.address),
}
_LABEL = "label."


@dataclass(frozen=True)
class _Term:
    """One part of an expression. A label that a host does not have equals nothing."""

    key: str
    equal: bool
    pattern: str

    def fits(self, host: HostSettings) -> bool:
        value = host.labels.get(self.key.removeprefix(_LABEL)) if self.key.startswith(_LABEL) else _KEYS[self.key](host)
        return (value is not None and fnmatchcase(value, self.pattern)) is self.equal


def select(
    source: Nornir | Inventory, hosts: Sequence[str] = (), roles: Sequence[str] = (), expression: str = ""
) -> tuple[str, ...]:
    """Name the chosen hosts in inventory order: any of `hosts`, and any of `roles`, and all of `expression`.

    SelectionError for a name that does not exist, an expression that cannot be read, and a choice of nothing.
    """
    inventory = source.inventory if isinstance(source, Nornir) else source
    known = {name: host_settings(host) for name, host in inventory.hosts.items()}
    _check_known(hosts, list(known), "host")
    _check_known(roles, [role.value for role in Role], "role")
    terms = _terms(expression, known)
    chosen = tuple(
        name
        for name, host in known.items()
        if (not hosts or name in hosts) and (not roles or host.role in roles) and all(term.fits(host) for term in terms)
    )
    if not chosen:
        asked = [f"--host {host}" for host in hosts] + [f"--role {role}" for role in roles]
        asked += [f"--filter {quoted(expression)}"] if terms else []
        named = [f"{name} ({host.role})" for name, host in known.items()]
        raise SelectionError(f"no host fits {' '.join(asked) or 'an empty inventory'}; known hosts: {listed(named)}")
    return chosen


def _check_known(names: Sequence[str], known: Sequence[str], what: str) -> None:
    unknown = [
        f"there is no {what} {quoted(name)}; {_either(name, known, what)}" for name in names if name not in known
    ]
    if unknown:
        raise SelectionError("\n".join(dict.fromkeys(unknown)))


def _check_key(key: str, labels: Sequence[str]) -> None:
    known = [*_KEYS, *labels]
    if key in known:
        return
    everything = _either(key, known, "key")
    if _LABEL + key in labels:
        everything = f"did you mean {quoted(_LABEL + key)}? known keys: {listed(known)}"
    elif not labels:
        everything += f", and {_LABEL}KEY where hosts have labels (data.labels)"
    raise SelectionError(f"there is no key {quoted(key)}; {everything}")


def _either(word: str, known: Sequence[str], what: str) -> str:
    """Give the likeliest name, and all of them."""
    everything = f"known {what}s: {listed(known)}"
    likely = suggestion(word, known, "")
    return f"{likely} {everything}" if likely.startswith("did you mean") else everything


def _terms(expression: str, hosts: Mapping[str, HostSettings]) -> list[_Term]:
    terms = [_term(part, expression) for part in expression.split(",")] if expression.strip() else []
    labels = sorted({_LABEL + label for host in hosts.values() for label in host.labels})
    for term in terms:
        _check_key(term.key, labels)
        if not any(c in term.pattern for c in "*?["):
            values = {"name": list(hosts), "role": [role.value for role in Role]}.get(term.key)
            _check_known([term.pattern], values if values is not None else [term.pattern], term.key)
    return terms


def _term(part: str, expression: str) -> _Term:
    match = _PART.fullmatch(part)
    if match is None or not match[3]:
        raise SelectionError(f"--filter {quoted(expression)}: cannot read {quoted(part)}; {_GRAMMAR}")
    return _Term(match[1], match[2] == "=", match[3])
