"""Simulated twins of the verbs that mark nodes: node_labels node_taint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from plugins.simulate import api
from plugins.simulate.api import NoAnswerError, Object
from plugins.simulate.vocabulary import AS_WANTED, ActFailedError, Seen, StepVerb, Verb, needs

if TYPE_CHECKING:
    from plugins.simulate.play import Play


def _look_labels(play: Play, config: str, label: str, *names: str) -> Seen:
    key, _, value = label.partition("=")
    return _look(play, config, label, names, lambda node: node["metadata"]["labels"].get(key) == value)


def _act_labels(play: Play, config: str, label: str, *names: str) -> None:
    key, _, value = label.partition("=")
    for node in _nodes(play, config, names):
        node["metadata"]["labels"][key] = value


def _look_taint(play: Play, config: str, taint: str, *names: str) -> Seen:
    key = taint.partition(":")[0]
    return _look(play, config, taint, names, lambda node: key in [each["key"] for each in node["spec"]["taints"]])


def _act_taint(play: Play, config: str, taint: str, *names: str) -> None:
    key, _, effect = taint.partition(":")
    for node in _nodes(play, config, names):
        others = [each for each in node["spec"]["taints"] if each["key"] != key]
        node["spec"]["taints"] = [*others, {"key": key, "effect": effect}]


def _look(play: Play, config: str, mark: str, names: Iterable[str], marked: Callable[[Object], bool]) -> Seen:
    if missing := needs(play.host, "kubectl"):
        return missing
    try:
        objects = api.ask(play.host, config).state.objects
    except NoAnswerError as error:
        return Seen(2, message=f"the API says: {error}")
    nodes = {name: objects.get(api.key_of("Node", name)) for name in names}
    diff = "".join(f"+{name}: {mark}\n" for name, node in nodes.items() if node is None or not marked(node))
    return Seen(1, diff) if diff else AS_WANTED


def _nodes(play: Play, config: str, names: Iterable[str]) -> Iterator[Object]:
    """Give nodes that kubectl was told to change. Raises ActFailedError where the API does not answer, or has none."""
    try:
        objects = api.ask(play.host, config).state.objects
    except NoAnswerError as error:
        raise ActFailedError(str(error)) from None
    for name in names:
        if api.key_of("Node", name) not in objects:
            raise ActFailedError(f'Error from server (NotFound): nodes "{name}" not found')
        yield objects[api.key_of("Node", name)]


VERBS: dict[str, Verb] = {
    "node_labels": StepVerb(
        lambda _, label, *names: f"label {label} of {' '.join(names)}", _look_labels, _act_labels, 3, None
    ),
    "node_taint": StepVerb(
        lambda _, taint, *names: f"taint {taint} of {' '.join(names)}", _look_taint, _act_taint, 3, None
    ),
}
