"""Simulated twins of the verbs that only look: gather show_file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from plugins.simulate.effects import Part
from plugins.simulate.facts import FACTS
from plugins.simulate.vocabulary import FreeVerb, Verb
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.play import Play

LONGEST_FILE = 65536  # characters


def gather(known: Mapping[str, Callable[..., str]]) -> Verb:
    """Make the verb that tells of the facts in `known`: each a function of the host and the words after the "="."""

    def play_gather(play: Play, *wants: str) -> Part:
        yield from play.begin("gather facts" if len(wants) > 2 else f"gather {' '.join(wants)}")
        for want in wants:
            name, _, words = want.partition("=")
            if name not in known:
                yield from play.fail(f"there is no fact {name}")
            yield from play.fact(name, known[name](play.host, *words.split()))
        yield from play.report(Status.OK)

    return FreeVerb(play_gather, 1, None)


def _show_file(play: Play, fact: str, path: str) -> Part:
    yield from play.begin(f"read {path}")
    yield from play.fact(fact, (play.host.state.files.text(path) or "")[:LONGEST_FILE])
    yield from play.report(Status.OK)


VERBS: dict[str, Verb] = {
    "gather": gather(FACTS),
    "show_file": FreeVerb(_show_file, 2, 2),
}
