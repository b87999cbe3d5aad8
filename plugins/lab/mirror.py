"""Where packages come from: the machine's own apt configuration, carried over to the image."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from urllib.parse import urlsplit, urlunsplit

from plugins.errors import UsageError

# One image for every Debian machine; an Ubuntu machine's own suite is the one its mirror surely has.
DEBIAN_SUITE = "trixie"
COMPONENTS = {"Debian": ("main",), "Ubuntu": ("main", "universe")}

CARRIED = re.compile(
    r"Acquire::(https?::Proxy|ftp::Proxy|https::(CaInfo|Verify-Peer|Verify-Host)|ForceIPv[46]|Retries"
    r"|Check-Valid-Until|Check-Date)(::\S+)?$",
    re.IGNORECASE,
)
"""apt settings that a host needs to reach what the machine reaches."""


@dataclass(frozen=True)
class Sources:
    """What debootstrap and the image's apt need. `lines` is the text of sources.list."""

    suite: str
    mirror: str
    components: tuple[str, ...]
    lines: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def sources_list(self) -> str:
        """Text of /etc/apt/sources.list."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def apt_conf(self) -> str:
        """Text of an apt.conf file with the settings carried over."""
        return "".join(f'{name} "{value}";\n' for name, value in self.settings)

    @property
    def proxies(self) -> dict[str, str]:
        """The proxies as environment variables: debootstrap's downloader does not read apt's settings."""
        found = {name.lower(): value for name, value in self.settings if value.upper() != "DIRECT"}
        names = {"acquire::http::proxy": "http_proxy", "acquire::https::proxy": "https_proxy"}
        return {variable: found[name] for name, variable in names.items() if found.get(name)}


def parse_targets(text: str) -> list[dict[str, str]]:
    """Paragraphs of `apt-get indextargets`, each as its fields. Only those for package lists."""
    found = []
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
        if fields.get("Created-By") == "Packages" or fields.get("Identifier") == "Packages":
            found.append(fields)
    return found


def choose_sources(
    targets: Sequence[Mapping[str, str]],
    codename: str,
    distribution: str,
    *,
    settings: Sequence[tuple[str, str]] = (),
    mirror: str | None = None,
) -> Sources:
    """The image's sources out of the machine's package targets.

    `distribution` is Debian or Ubuntu, `codename` the machine's own. Raises UsageError when no source of the
    distribution that debootstrap can read is configured and no `mirror` is given.
    """
    suite = DEBIAN_SUITE if distribution == "Debian" else codename
    ours = [t for t in targets if t.get("Origin") == distribution and _web(t.get("Repo-URI", ""))]
    main = [t for t in ours if t.get("Codename") == codename or t.get("Release") == codename]
    base = mirror or next((t["Repo-URI"] for t in main or ours), None)
    if base is None:
        raise UsageError(
            f"no web mirror of {distribution} among this machine's apt sources (apt-get indextargets);"
            " name one: --mirror URL"
        )
    base = base.rstrip("/")
    components = COMPONENTS[distribution]
    lines = [f"deb {base} {suite} {' '.join(components)}"]
    if mirror is None:
        pockets = {_pocket(t): t["Repo-URI"].rstrip("/") for t in ours}
        lines += [
            f"deb {pockets[pocket]} {suite}-{pocket} {' '.join(components)}"
            for pocket in ("updates", "security")
            if pocket in pockets
        ]
    return Sources(suite, base, components, tuple(lines), tuple(settings))


def carried_settings(
    dump: str, environment: Mapping[str, str] = os.environ, gateway: IPv4Address | None = None
) -> tuple[tuple[str, str], ...]:
    """The settings to carry over out of `apt-config dump`; proxies of the environment count where apt has none.

    A proxy on the machine's loopback address is reached at `gateway` from inside a host.
    """
    found: dict[str, str] = {}
    for line in dump.splitlines():
        name, _, rest = line.partition(" ")
        words = shlex.split(rest.rstrip(";")) if CARRIED.match(name) and rest.count('"') % 2 == 0 else []
        if words and words[0]:
            found[name] = words[0]
    for scheme in ("http", "https"):
        proxy = environment.get(f"{scheme}_proxy")
        if proxy and not any(name.lower() == f"acquire::{scheme}::proxy" for name in found):
            found[f"Acquire::{scheme}::Proxy"] = proxy
    return tuple((name, _reachable(value, gateway)) for name, value in sorted(found.items()))


def _web(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _pocket(target: Mapping[str, str]) -> str:
    return target.get("Codename", target.get("Release", "")).rpartition("-")[2]


def _reachable(value: str, gateway: IPv4Address | None) -> str:
    parts = urlsplit(value) if "://" in value else None
    if gateway is None or parts is None or parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        return value
    login, mark, _ = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{login}{mark}{gateway}{port}"))
