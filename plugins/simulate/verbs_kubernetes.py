"""Simulated twins of the Kubernetes verbs: services that are well, objects of the API, nodes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from plugins.simulate import api
from plugins.simulate.api import NoAnswerError
from plugins.simulate.effects import Effect, Part, Pause
from plugins.simulate.nodes import available, condition, register_node
from plugins.simulate.verbs_files import VERBS as FILES
from plugins.simulate.vocabulary import AS_WANTED, ActFailedError, FreeVerb, Seen, StepVerb, Verb, needs
from plugins.simulate.windows.nodes import register_nodes
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play

POLL = 0.05  # seconds


def _resolver_link(play: Play, path: str) -> Part:
    resolved = "/run/systemd/resolve/resolv.conf"
    there = play.host.state.files.at(resolved) is not None
    link = FILES["link"]
    assert isinstance(link, StepVerb)
    yield from play.step(link, (path, resolved if there else "/etc/resolv.conf"))


def _await(play: Play, seconds: str, why: Callable[[], str]) -> Generator[Effect, bytes | None, str]:
    """Look until there is nothing to say, or the time is up; a dry run looks once."""
    until = monotonic() + min(float(seconds), play.host.world.timing.patience)
    while (words := why()) and not play.dry_run and monotonic() < until:
        yield Pause(POLL)
    return words


def _ended(play: Play, words: str, seconds: str, *services: str) -> Part:
    """End a step that has waited for something; `words` say why it did not come, if so."""
    if not words:
        yield from play.report(Status.OK)
    elif play.dry_run:
        yield from play.report(Status.WOULD_CHANGE, message=words)
    else:
        lines = [_journal(play.host, service) for service in services]
        named = [f"{name}:\n{text}" for name, text in zip(services, lines, strict=True)]
        output = "\n".join(named if len(services) > 1 else lines)
        yield from play.fail(f"{words} after {seconds} s" if services else words, output=output)


def _journal(host: SimulatedHost, service: str) -> str:
    return host.ailing(service) or f"simulated: {service} has nothing to say"


def _healthy(play: Play, name: str, url: str, service: str, seconds: str, *files: str) -> Part:
    yield from play.begin(f"{name} healthy")
    # What a fault keeps from being well is not waited for.
    limit = "0" if play.host.ailing(service) else seconds
    words = yield from _await(play, limit, lambda: why_unhealthy(play.host, url, service, files))
    yield from _ended(play, f"{url} says: {words}" if words else "", seconds, service)


def why_unhealthy(host: SimulatedHost, url: str, service: str, files: tuple[str, ...]) -> str:
    """Say in curl's words why a service does not answer that it is well; empty where it does."""
    if needs(host, "curl"):
        return "curl: command not found"
    missing = [path for path in files if host.state.files.text(path) is None]
    if missing:
        return f"curl: ({77 if missing[0] == files[0] else 58}) could not load {missing[0]}"
    if not host.state.running(service):
        place = urlsplit(url)
        return f"curl: (7) Failed to connect to {place.hostname} port {place.port}: Connection refused"
    well = api.is_ready(host) if service == "kube-apiserver" else host.well(service)
    return "" if well else "curl: (22) The requested URL returned error: 500"


def _look_manifest(play: Play, _name: str, config: str, text: str) -> Seen:
    if missing := needs(play.host, "kubectl"):
        return missing
    try:
        diff = api.difference(api.ask(play.host, config), text)
    except NoAnswerError as error:
        return Seen(2, message=f"the API does not tell how the objects differ: {error}")
    return Seen(1, diff) if diff else AS_WANTED


def _act_manifest(play: Play, _name: str, config: str, text: str) -> None:
    try:
        api.apply(api.ask(play.host, config), text)
    except NoAnswerError as error:
        raise ActFailedError(str(error)) from None


def _account_token(play: Play, fact: str, config: str, namespace: str, secret: str, seconds: str) -> Part:
    yield from play.begin(f"token {secret}")
    if missing := needs(play.host, "kubectl"):
        yield from _ended(play, missing.message, seconds)
        return

    def token() -> str:
        try:
            return api.token_of(api.ask(play.host, config), namespace, secret)
        except NoAnswerError:
            return ""

    words = yield from _await(play, seconds, lambda: "" if token() else f"secret {namespace}/{secret} holds no token")
    if not words:
        yield from play.secret(fact, token())
        yield from play.report(Status.OK)
    elif play.dry_run:
        yield from play.report(Status.WOULD_CHANGE, message=words)
    else:
        yield from play.fail(f"{words} after {seconds} s")


def _node(wanted: str, other: str) -> Callable[..., Part]:
    def play_node(play: Play, config: str, name: str, seconds: str) -> Part:
        yield from play.begin(f"node {name} {wanted}")
        if missing := needs(play.host, "kubectl"):
            yield from _ended(play, missing.message, seconds)
            return
        words = yield from _await(play, seconds, lambda: _why_not(play, config, name, ready=wanted == "ready"))
        yield from _ended(play, f"the API says: {words}" if words else "", seconds, "kubelet", other)

    return play_node


def _tunnels(play: Play, config: str, name: str, patience: str, seconds: str) -> Part:
    del config, name, patience
    yield from play.begin("tunnels to Windows hosts")
    options = api.unit_of(play.host, "ovnkube").options
    well = play.host.well("ovnkube") and "hybrid-overlay-cluster-subnets" in options
    yield from _ended(play, "" if well else "br-ext has no port ext-vxlan", seconds, "ovnkube")


def _why_not(play: Play, config: str, name: str, *, ready: bool) -> str:
    """Say in the API's words that a node is not there, or not ready; empty where it is."""
    register_node(play.host)
    register_nodes(play.host)
    try:
        master = api.ask(play.host, config)
    except NoAnswerError as error:
        return str(error)
    if api.key_of("Node", name) not in master.state.objects:
        return f'Error from server (NotFound): nodes "{name}" not found'
    seen = condition(master, name)
    return f"{name} {seen}" if ready and not seen.startswith("True ") else ""


def _deployment(play: Play, config: str, namespace: str, name: str, seconds: str) -> Part:
    yield from play.begin(f"deployment {name} available")
    if missing := needs(play.host, "kubectl"):
        yield from _ended(play, missing.message, seconds)
        return

    def why() -> str:
        try:
            master = api.ask(play.host, config)
        except NoAnswerError as error:
            return str(error)
        return "" if available(master, namespace, name) else "no pod is available"

    words = yield from _await(play, seconds, why)
    if words and not play.dry_run:
        yield from play.fail(f"{words} after {seconds} s")
    yield from _ended(play, words, seconds)


VERBS: dict[str, Verb] = {
    "resolver_link": FreeVerb(_resolver_link, 1, 1),
    "healthy": FreeVerb(_healthy, 5, 7),
    "manifest": StepVerb(lambda name, *_: f"manifest {name}", _look_manifest, _act_manifest, 3, 3),
    "account_token": FreeVerb(_account_token, 5, 5),
    "node_registered": FreeVerb(_node("registered", "containerd"), 3, 3),
    "node_ready": FreeVerb(_node("ready", "ovnkube"), 3, 3),
    "hybrid_tunnels": FreeVerb(_tunnels, 4, 4),
    "deployment_available": FreeVerb(_deployment, 4, 4),
}
