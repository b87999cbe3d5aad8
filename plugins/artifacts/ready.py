"""Whether a run has what the stages that place downloads take; asked before any host is touched."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from plugins.artifacts.mirror import Mirror
from plugins.artifacts.model import Artifact
from plugins.artifacts.plan import Downloads
from plugins.context import RunContext
from plugins.errors import SettingsError
from plugins.inventory.model import HostSettings, Role


def downloads_are_pinned(context: RunContext, hosts: Collection[HostSettings]) -> None:
    """Raise SettingsError unless all that these hosts need is pinned and can be had by each of them."""
    lines = missing(context.downloads, hosts)
    others = [host for host in hosts if host.role is not Role.WINDOWS]
    if lines and len(others) < len(hosts) and others and not missing(context.downloads, others):
        lines.append("only Windows hosts lack that: with --role master --role linux the run goes on without them")
    if lines:
        raise SettingsError("\n".join(lines))


def missing(downloads: Downloads, hosts: Iterable[HostSettings]) -> list[str]:
    """Say what keeps hosts from getting what their roles need, one line for each remedy."""
    roles: dict[Mirror | None, set[Role]] = {}
    for host in hosts:
        roles.setdefault(downloads.for_host(host).mirror, set()).add(host.role)
    lines = []
    for mirror, theirs in roles.items():
        needed = [each for each in downloads.artifacts if not theirs.isdisjoint(each.roles)]
        lines += replace(downloads, mirror=mirror).missing(needed) or _empty(mirror, needed)
    return lines


def _empty(mirror: Mirror | None, needed: Iterable[Artifact]) -> list[str]:
    """Say when a mirror's folder has nothing of this, as one that was mistyped; hosts may have what one file lacks."""
    places = [artifact.place(platform) for artifact in needed for platform in artifact.platforms]
    if mirror is None or not places or any(mirror.holds(place) is not False for place in places):
        return []
    return [f"{mirror} holds none of the downloads, as {places[0]}; correct --mirror, or put them there"]
