"""What a row of the table of certificates is, and how its texts are filled for one host.

Texts may hold `{cluster}`, `{host}`, `{domain}`, `{address}` and `{service_address}`; one that stands for several
values (a host with two addresses) yields one name for each. The rows themselves are in plugins/pki/table.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import product
from string import Formatter

from plugins.errors import UsageError
from plugins.inventory.model import Role

Address = IPv4Address | IPv6Address

# RFC 1123, in lower case: it becomes a DNS name in a certificate and a file name in the state folder.
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBJECT_MAX = 64  # characters: X.520's upper bound for common name and organization


class Usage(StrEnum):
    """Extended key usage, by its name in RFC 5280."""

    SERVER = "serverAuth"
    CLIENT = "clientAuth"


@dataclass(frozen=True)
class AuthorityProfile:
    """One certificate authority of the cluster. `name` is its folder in the state folder."""

    name: str
    common_name: str
    days: int = 3650


@dataclass(frozen=True)
class LeafProfile:
    """One certificate that every host of `roles` gets. `name` is its folder in the state folder."""

    name: str
    authority: str
    roles: frozenset[Role]
    common_name: str
    usages: frozenset[Usage]
    organization: str = ""
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    days: int = 365


@dataclass(frozen=True)
class Names:
    """What fills a row's texts for one host. Raises UsageError for what is no RFC 1123 name.

    `cluster` and `host` are in lower case; `domain` is brought to it.
    """

    cluster: str
    host: str
    domain: str
    addresses: tuple[Address, ...]
    service_addresses: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        for key, value in (("cluster", self.cluster), ("host", self.host), ("domain", self.domain.lower())):
            if len(value) > 253 or not all(_LABEL.fullmatch(label) for label in value.split(".")):
                raise UsageError(
                    f"certificates: {key} {value!r} is not a DNS name: use lower-case letters, digits "
                    "and hyphens (RFC 1123)"
                )

    def values(self, field: str) -> tuple[str, ...]:
        """Every value of one placeholder, as text. Raises KeyError for one that does not exist."""
        return {
            "cluster": (self.cluster,),
            "host": (self.host,),
            "domain": (self.domain.lower(),),
            "address": tuple(map(str, self.addresses)),
            "service_address": tuple(map(str, self.service_addresses)),
        }[field]


@dataclass(frozen=True)
class Identity:
    """A leaf's subject and subject alternative names, ready to be written into a certificate."""

    common_name: str
    organization: str
    dns: tuple[str, ...]
    addresses: tuple[Address, ...]


def authority_name(profile: AuthorityProfile, cluster: str) -> str:
    """Return the authority's common name. Raises UsageError when it is too long for a certificate."""
    return _subject(profile.common_name.format(cluster=cluster))


def identity(profile: LeafProfile, names: Names) -> Identity:
    """Fill a row's texts. Raises UsageError when a name does not fit into a certificate."""
    dns = tuple(dict.fromkeys(_fill_all(profile.dns, names)))
    for name in dns:
        if len(name) > 253:
            raise UsageError(f"certificates: {name!r} is longer than a DNS name's 253 characters")
    return Identity(
        common_name=_subject(_one(profile.common_name, names)),
        organization=_subject(_one(profile.organization, names)),
        dns=dns,
        addresses=tuple(dict.fromkeys(map(ip_address, _fill_all(profile.addresses, names)))),
    )


def _fill_all(texts: Iterable[str], names: Names) -> Iterator[str]:
    for text in texts:
        yield from _fill(text, names)


def _fill(text: str, names: Names) -> Iterator[str]:
    fields = sorted({field for _, field, _, _ in Formatter().parse(text) if field})
    for values in product(*(names.values(field) for field in fields)):
        yield text.format(**dict(zip(fields, values, strict=True)))


def _one(text: str, names: Names) -> str:
    return next(_fill(text, names), "")


def _subject(text: str) -> str:
    if len(text) > _SUBJECT_MAX:
        raise UsageError(
            f"certificates: the subject {text!r} has {len(text)} characters, and a certificate holds "
            f"{_SUBJECT_MAX}: choose a shorter name"
        )
    return text
