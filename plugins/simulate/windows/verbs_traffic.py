"""Simulated twins of the verbs for packets: traffic_endpoint endpoint_ping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.simulate.effects import Part, Pause
from plugins.simulate.verbs_traffic import DRY_RUN
from plugins.simulate.vocabulary import FreeVerb, Verb
from plugins.simulate.windows.overlay import endpoint_words
from plugins.simulate.windows.traffic import mtu_of
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.play import Play

POLL = 0.05  # seconds


def _endpoint(play: Play, name: str) -> Part:
    yield from play.begin(f"traffic endpoint {name}")
    if play.dry_run:
        yield from play.report(Status.OK, message=DRY_RUN)
        return
    if play.host.state.windows_part.features["Containers"] != "Enabled":
        yield from play.fail("Get-HnsEndpoint is not installed")
    words = endpoint_words(play.host, name)
    if not words or "," in words:
        yield from play.fail(f"the host has no endpoint of this name: {words or 'none'}")
    yield from play.fact("pod_address", words.partition(" ")[0])
    yield from play.fact("traffic_mtu", str(mtu_of(play.host)))
    yield from play.report(Status.OK)


def _ping(play: Play, source: str, count: str, *targets: str) -> Part:
    plane = play.host.world.plane
    yield from play.begin(f"endpoint pings {len(targets)} times {count}")
    if play.dry_run:
        yield from play.report(Status.OK, message=DRY_RUN)
        return
    if not plane.has_address(play.host, source):
        yield from play.fail(f"no NIC of the host has {source}")
    answers = plane.ping(play.host, source, int(count), targets)
    while not answers.done():
        yield Pause(POLL)
    for target, got in answers.result().items():
        yield from play.fact(f"ping {target}", f"{got}/{count}")
    yield from play.report(Status.OK)


VERBS: dict[str, Verb] = {
    "traffic_endpoint": FreeVerb(_endpoint, 1, 1),
    "endpoint_ping": FreeVerb(_ping, 3, None),
}
