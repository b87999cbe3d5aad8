"""Simulated twins of the verbs that look at a cluster: inspect_node inspect_nodes inspect_health and their like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from plugins.simulate import api
from plugins.simulate.api import NoAnswerError
from plugins.simulate.effects import Part
from plugins.simulate.nodes import available, condition, register_node, resolve
from plugins.simulate.verbs_kubernetes import why_unhealthy
from plugins.simulate.vocabulary import FreeVerb, Verb, needs
from plugins.simulate.windows.nodes import register_nodes
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play

LONGEST_FILE = 65536  # characters


def _node(play: Play, config: str, name: str, *services: str) -> Part:
    host = play.host
    yield from play.begin("inspect node")
    if missing := needs(host, "kubectl"):
        yield from play.fail(missing.message)
    for service in services:
        yield from play.fact(f"service_{service}", "active" if host.state.running(service) else "inactive")
    register_node(host)
    try:
        told = _told(api.ask(host, config), name)
    except NoAnswerError as error:
        told = {"node_error": str(error)}
    for fact, text in told.items():
        yield from play.fact(fact, text)
    yield from play.report(Status.OK)


def _nodes(play: Play, config: str, *names: str) -> Part:
    host = play.host
    yield from play.begin("inspect nodes")
    if missing := needs(host, "kubectl"):
        yield from play.fail(missing.message)
    register_nodes(host)
    for name in names:
        try:
            master = api.ask(host, config)
            told = _told(master, name)
            annotations = master.state.objects[api.key_of("Node", name)]["metadata"].get("annotations")
            told["node_annotations"] = json.dumps(annotations) if annotations else ""
        except NoAnswerError as error:
            told = {"node_error": str(error)}
        for fact, text in told.items():
            yield from play.fact(f"{name}/{fact}", text)
    yield from play.report(Status.OK)


def _told(master: SimulatedHost, name: str) -> dict[str, str]:
    """Give what the API says of a node, as kubectl's jsonpath prints it: JSON, or nothing."""
    node = master.state.objects.get(api.key_of("Node", name))
    if node is None:
        raise NoAnswerError(f'Error from server (NotFound): nodes "{name}" not found')
    status, _, words = condition(master, name).partition(" ")
    reason, _, message = words.partition(": ")
    ready = {"type": "Ready", "status": status, "reason": reason, "message": message}
    taints = node["spec"]["taints"]
    return {
        "node_labels": json.dumps(node["metadata"]["labels"]),
        "node_taints": json.dumps(taints) if taints else "",
        "node_addresses": json.dumps(node["status"]["addresses"]),
        "node_conditions": json.dumps([ready]),
        "node_version": node["status"]["nodeInfo"]["kubeletVersion"],
    }


def _health(play: Play, name: str, url: str, *files: str) -> Part:
    yield from play.begin(f"inspect {name}")
    if missing := needs(play.host, "curl"):
        yield from play.fail(missing.message)
    yield from play.fact(f"health_{name}", why_unhealthy(play.host, url, name, files) or "well")
    yield from play.report(Status.OK)


def _pairs(play: Play, *words: str) -> Part:
    files = play.host.state.files
    yield from play.begin("inspect certificates")
    for name, certificate, key, authority in zip(*(words[place::4] for place in range(4)), strict=True):
        yield from play.fact(f"certificate_{name}", (files.text(certificate) or "")[:LONGEST_FILE])
        yield from play.fact(f"authority_{name}", (files.text(authority) or "")[:LONGEST_FILE])
        entry = files.behind(key)
        yield from play.fact(
            f"key_mode_{name}", f"{entry.mode} {entry.owner}" if entry else f"stat: {key}: no such file"
        )
    yield from play.report(Status.OK)


def _name(play: Play, server: str, name: str) -> Part:
    yield from play.begin(f"inspect name {name}")
    yield from play.fact("name", name_seen(play.host, server, name))
    yield from play.report(Status.OK)


def name_seen(host: SimulatedHost, server: str, name: str) -> str:
    """Say what a host, or its pod, hears from the cluster's DNS."""
    master = next((each for each in host.world.hosts.values() if each.state.role == "master"), None)
    if master is None or not host.well("ovnkube"):
        return f"no answer from {server}"
    return resolve(master, server, name)


def _deployment(play: Play, config: str, namespace: str, name: str) -> Part:
    yield from play.begin(f"inspect {name}")
    if missing := needs(play.host, "kubectl"):
        yield from play.fail(missing.message)
    try:
        master = api.ask(play.host, config)
        found = master.state.objects.get(api.key_of("Deployment", name, namespace))
        words = f"{available(master, namespace, name) or ''}/{found['spec']['replicas']}" if found else ""
        words = words or f'Error from server (NotFound): deployments.apps "{name}" not found'
    except NoAnswerError as error:
        words = str(error)
    yield from play.fact(f"deployment_{name}", words)
    yield from play.report(Status.OK)


VERBS: dict[str, Verb] = {
    "inspect_node": FreeVerb(_node, 2, None),
    "inspect_nodes": FreeVerb(_nodes, 2, None),
    "inspect_health": FreeVerb(_health, 2, 5),
    "inspect_pairs": FreeVerb(_pairs, 0, None),
    "inspect_name": FreeVerb(_name, 2, 2),
    "inspect_deployment": FreeVerb(_deployment, 3, 3),
}
