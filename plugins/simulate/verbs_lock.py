"""Simulated twin of hold_lock, the cluster's lock on the master."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from plugins.simulate.effects import Hear, Part
from plugins.simulate.vocabulary import FreeVerb, Verb
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.play import Play


def _hold_lock(play: Play, owner: str, seconds: str) -> Part:
    host = play.host
    yield from play.begin("cluster lock")
    host.unlock(play)
    if holder := host.cluster_holder():
        ago = int(monotonic() - host.cluster_beat) if host.cluster_owner else 0
        message = f"held by {holder}; last sign of life {ago} s ago (after {seconds} s without one it is free)"
        yield from play.fail(message)
    host.cluster_owner, host.cluster_beat = owner, monotonic()
    try:
        yield from play.report(Status.OK)
        while (yield Hear(float(seconds))):
            host.cluster_beat = monotonic()
    finally:
        host.cluster_owner = ""


VERBS: dict[str, Verb] = {"hold_lock": FreeVerb(_hold_lock, 2, 2)}
