"""Simulated twins of the verbs for temporary pods: traffic_pods traffic_pod pod_ping pod_reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from plugins.simulate import api
from plugins.simulate.api import NoAnswerError
from plugins.simulate.effects import Part
from plugins.simulate.nodes import api_service, condition, pod_address, pod_mtu
from plugins.simulate.overlay import master_of
from plugins.simulate.verbs_cluster import name_seen
from plugins.simulate.verbs_probe import TUNNEL_PORT
from plugins.simulate.verbs_traffic import DRY_RUN
from plugins.simulate.vocabulary import FreeVerb, Verb, needs
from plugins.simulate.windows.traffic import end_at, reaches
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play


def _started(play: Play, title: str) -> Part:
    """Begin a step that a dry run leaves out; whoever calls it looks at play.dry_run after it."""
    yield from play.begin(title)
    if play.dry_run:
        yield from play.report(Status.OK, message=DRY_RUN)


def _pods(play: Play, config: str, namespace: str, text: str) -> Part:
    yield from _started(play, "traffic pods")
    if play.dry_run:
        return
    if missing := needs(play.host, "kubectl"):
        yield from play.fail(missing.message)
    try:
        master = api.ask(play.host, config)
        api.forget_namespace(master, namespace)
        api.apply(master, text)
    except NoAnswerError as error:
        yield from play.fail("the API did not take the pods", output=str(error))
    yield from play.report(Status.OK)


def _pods_gone(play: Play, config: str, namespace: str) -> Part:
    yield from _started(play, "traffic pods gone")
    if play.dry_run:
        return
    try:
        if needs(play.host, "kubectl") is None:
            api.forget_namespace(api.ask(play.host, config), namespace)
    except NoAnswerError as error:
        yield from play.fail(f"the namespace {namespace} may be left", output=str(error))
    yield from play.report(Status.OK)


def _pod(play: Play, config: str, namespace: str, name: str, seconds: str) -> Part:
    yield from _started(play, "traffic pod")
    if play.dry_run:
        return
    if missing := needs(play.host, "kubectl"):
        yield from play.fail(missing.message)
    try:
        master = api.ask(play.host, config)
        there = api.key_of("Pod", name, namespace) in master.state.objects
        seen = condition(master, name) if there else f'Error from server (NotFound): pods "{name}" not found'
    except NoAnswerError as error:
        seen = str(error)
    if not seen.startswith("True"):
        yield from play.fail(f"the pod does not run after {seconds} s: {seen}")
    yield from play.fact("pod_address", str(pod_address(play.host)))
    yield from play.fact("traffic_mtu", str(pod_mtu(play.host)))
    yield from play.report(Status.OK)


def _here(play: Play, address: str) -> Part:
    if address != str(pod_address(play.host)):
        yield from play.fail(f"no network namespace here has the pod's address {address}")


def _ping(play: Play, address: str, count: str, *targets: str) -> Part:
    yield from _started(play, f"pod pings {len(targets)} times {count}")
    if play.dry_run:
        return
    yield from _here(play, address)
    for target in targets:
        other, _, size = target.partition(":")
        answered = _answers(play.host, end_at(play.host, other), int(size))
        yield from play.fact(f"ping {target}", f"{count if answered else 0}/{count}")
    yield from play.report(Status.OK)


def _answers(host: SimulatedHost, other: SimulatedHost | None, size: int) -> bool:
    """Whether a packet gets to the other's pod, and its answer back."""
    if other is not None and other.state.windows is not None:
        return reaches(host, other, size)
    if other is None or not other.well("ovnkube") or size > min(pod_mtu(host), pod_mtu(other)):
        return False
    return not any(end.blocked("udp", TUNNEL_PORT) for end in (host, other))


def _reaches(play: Play, address: str, url: str, authority: str, server: str, name: str) -> Part:
    yield from _started(play, "pod reaches services")
    if play.dry_run:
        return
    yield from _here(play, address)
    master, place = master_of(play.host), urlsplit(url)
    well = master is not None and api.is_ready(master) and api_service(master) == place.hostname
    trusted = play.host.state.files.text(authority) is not None
    yield from play.fact("api", "well" if well and trusted else f"curl: (28) no answer from {place.hostname}")
    yield from play.fact("name", name_seen(play.host, server, name))
    yield from play.report(Status.OK)


VERBS: dict[str, Verb] = {
    "traffic_pods": FreeVerb(_pods, 3, 3),
    "traffic_pods_gone": FreeVerb(_pods_gone, 2, 2),
    "traffic_pod": FreeVerb(_pod, 4, 4),
    "pod_ping": FreeVerb(_ping, 3, None),
    "pod_reaches": FreeVerb(_reaches, 5, 5),
}
