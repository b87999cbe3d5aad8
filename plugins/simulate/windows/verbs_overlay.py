"""Simulated twins of the verbs for the overlay: overlay_network host_endpoint healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.simulate.effects import Part, Pause
from plugins.simulate.vocabulary import AS_WANTED, FreeVerb, Seen, StepVerb, Verb
from plugins.simulate.windows.overlay import endpoint_words, make_network, unwell
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.play import Play

POLL = 0.1  # seconds


def _overlay_network(play: Play, name: str, seconds: str) -> Part:
    host, waited = play.host, 0.0
    yield from play.begin(f"overlay network {name}")
    if host.state.windows_part.features["Containers"] != "Enabled":
        if not play.dry_run:
            yield from play.fail("Get-HnsNetwork is not installed")
        yield from play.report(Status.WOULD_CHANGE, message="Get-HnsNetwork is not installed")
        return
    if not play.dry_run:
        while (why := make_network(host)) and waited < min(float(seconds), host.world.timing.network_change):
            waited += POLL
            yield Pause(POLL)
        if why:
            yield from play.fail(f"HNS has no such network; awaited for {seconds} s", output=why)
    if name not in host.state.windows_part.networks:
        yield from play.report(Status.WOULD_CHANGE, message="HNS has no such network")
        return
    yield from play.fact("overlay_subnet", host.state.windows_part.networks[name])
    yield from play.fact("overlay_address", host.state.address)
    yield from play.report(Status.OK)


def _look_endpoint(play: Play, name: str, network: str, address: str) -> Seen:
    if play.host.state.windows_part.features["Containers"] != "Enabled":
        return Seen(2, message="Get-HnsEndpoint is not installed")
    make_network(play.host)
    if network not in play.host.state.windows_part.networks:
        return Seen(2, message=f"HNS has no network {network}")
    seen, wanted = endpoint_words(play.host, name) or "(missing)", f"{address} in {network}"
    return AS_WANTED if seen == wanted else Seen(1, f"-{name} {seen}\n+{name} {wanted}\n")


def _act_endpoint(play: Play, name: str, network: str, address: str) -> None:
    play.host.state.windows_part.endpoints[name] = f"{address} in {network}"
    play.host.world.plane.add_address(play.host, address)


def _healthy(play: Play, name: str, url: str, seconds: str, log: str) -> Part:
    yield from play.begin(f"{name} healthy")
    waited, limit = 0.0, min(float(seconds), play.host.world.timing.network_change)
    while (why := unwell(play.host, url)) and not play.dry_run and waited < limit:
        waited += POLL
        yield Pause(POLL)
    if not why:
        yield from play.report(Status.OK)
    elif play.dry_run:
        yield from play.report(Status.WOULD_CHANGE, message=f"{url} says: {why}")
    else:
        said = play.host.ailing(name) or f"simulated: {log} has nothing to say"
        yield from play.fail(f"{url} says: {why}; after {seconds} s", output=said)


VERBS: dict[str, Verb] = {
    "overlay_network": FreeVerb(_overlay_network, 2, 2),
    "host_endpoint": StepVerb(lambda name, *_: f"host endpoint {name}", _look_endpoint, _act_endpoint, 3, 3),
    "healthy": FreeVerb(_healthy, 4, 4),
}
