"""Simulated twins of the OVN verbs: ovn_ssl ovn_connection await_connected chassis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.simulate.effects import Part
from plugins.simulate.overlay import master_of, register, why_not_connected, why_unanswered
from plugins.simulate.state import OPEN_VSWITCH
from plugins.simulate.verbs_ovs import Rows, compare, no_database, put, seen, tls_words
from plugins.simulate.vocabulary import AS_WANTED, FreeVerb, Seen, StepVerb, Verb, needs
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play


def _rows(host: SimulatedHost, which: str) -> Rows:
    return host.state.nb if which == "nb" else host.state.sb


def _no_ovn_database(host: SimulatedHost, which: str) -> Seen | None:
    if missing := needs(host, f"ovn-{which}ctl"):
        return missing
    if not host.state.running("ovn-central"):
        return Seen(2, message="the OVN database does not answer: database connection failed")
    return None


def _look_ssl(play: Play, which: str, *files: str) -> Seen:
    return _no_ovn_database(play.host, which) or seen(compare(_rows(play.host, which), "SSL .", *tls_words(*files)))


def _act_ssl(play: Play, which: str, *files: str) -> None:
    put(_rows(play.host, which), "SSL .", *tls_words(*files))


def _look_connection(play: Play, which: str, target: str, *wants: str) -> Seen:
    if nothing := _no_ovn_database(play.host, which):
        return nothing
    rows, record = _rows(play.host, which), f"Connection {target}"
    others = "".join(f"-{row}\n" for row in rows if row.startswith("Connection ") and row != record)
    return seen(others + compare(rows, record, f"target={target}", *wants))


def _act_connection(play: Play, which: str, target: str, *wants: str) -> None:
    rows = _rows(play.host, which)
    for row in [row for row in rows if row.startswith("Connection ")]:
        del rows[row]
    put(rows, f"Connection {target}", f"target={target}", *wants)


def _await_connected(play: Play, seconds: str) -> Part:
    yield from play.begin("ovn-controller connected")
    missing = needs(play.host, "ovn-appctl")
    why = missing.message if missing else why_not_connected(play.host)
    if not why:
        register(play.host)
        yield from play.report(Status.OK)
        return
    message = why if missing else f"ovn-controller says: {why}"
    if play.dry_run:
        yield from play.report(Status.WOULD_CHANGE, message=message)
    elif missing:
        yield from play.fail(message)
    else:
        yield from play.fail(f"{message} after {seconds} s", output="simulated: ovn-controller.log is empty")


def _look_chassis(play: Play, name: str, kind: str, address: str, *_seconds: str) -> Seen:
    if nothing := no_database(play.host) or needs(play.host, "ovn-sbctl"):
        return nothing
    remote = play.host.state.ovs.get(OPEN_VSWITCH, {}).get("external_ids:ovn-remote", "")
    if not remote:
        return Seen(2, message="ovn-remote is not set yet")
    if why := why_unanswered(play.host, remote):
        return Seen(2, message=f"the southbound database at {remote} does not answer: {why}")
    register(play.host)
    master = master_of(play.host)
    rows = master.state.chassis if master else {}
    others = [other for other, end in rows.items() if end[1] == address and other != name]
    stale = "".join(f"-chassis {other} at {address}\n" for other in others)
    missing = "" if rows.get(name) == [kind, address] else f"+chassis {name} at {kind} {address}\n"
    return Seen(1, stale + missing) if stale or missing else AS_WANTED


def _act_chassis(play: Play, name: str, _kind: str, address: str, *_seconds: str) -> None:
    master = master_of(play.host)
    if master is not None:
        for other in [other for other, end in master.state.chassis.items() if end[1] == address and other != name]:
            del master.state.chassis[other]


VERBS: dict[str, Verb] = {
    "ovn_ssl": StepVerb(lambda which, *_: f"ovn {which} ssl", _look_ssl, _act_ssl, 4, 4),
    "ovn_connection": StepVerb(lambda which, *_: f"ovn {which} connection", _look_connection, _act_connection, 2, None),
    "await_connected": FreeVerb(_await_connected, 1, 1),
    "chassis": StepVerb(lambda *_: "chassis registered", _look_chassis, _act_chassis, 4, 4),
}
