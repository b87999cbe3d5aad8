"""Simulated twins of the Open vSwitch verbs: ovs_bridge ovs_external_ids ovs_other_config ovs_identity ovs_ssl."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from plugins.simulate.state import OPEN_VSWITCH, SYSTEM_ID
from plugins.simulate.verbs_files import act_file
from plugins.simulate.vocabulary import AS_WANTED, Seen, StepVerb, Verb, needs

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play

Rows = dict[str, dict[str, str]]


def no_database(host: SimulatedHost) -> Seen | None:
    """Answer code 2 where Open vSwitch's database cannot be asked."""
    if missing := needs(host, "ovs-vsctl"):
        return missing
    if not host.state.running("openvswitch-switch"):
        return Seen(2, message="the Open vSwitch database does not answer: database connection failed")
    return None


def compare(rows: Rows, record: str, *wants: str) -> str:
    """Say as a diff in which COLUMN[:KEY]=VALUE a row differs."""
    diff = ""
    for want in wants:
        key, _, value = want.partition("=")
        have = rows.get(record, {}).get(key, "")
        if have != value:
            diff += (f"-{record} {key}={have}\n" if have else "") + f"+{record} {want}\n"
    return diff


def put(rows: Rows, record: str, *wants: str) -> None:
    """Set a row's COLUMN[:KEY]=VALUE."""
    rows.setdefault(record, {}).update((key, value) for key, _, value in (want.partition("=") for want in wants))


def seen(diff: str) -> Seen:
    """Make a diff a look's answer."""
    return Seen(1, diff) if diff else AS_WANTED


def _look_bridge(play: Play, name: str, *wants: str) -> Seen:
    if nothing := no_database(play.host):
        return nothing
    rows, record = play.host.state.ovs, f"Bridge {name}"
    missing = "" if record in rows else f"+{record}\n"
    return seen(missing + compare(rows, record, *wants))


def _act_bridge(play: Play, name: str, *wants: str) -> None:
    put(play.host.state.ovs, f"Bridge {name}", *wants)


def _look_keys(column: str) -> Callable[..., Seen]:
    def look(play: Play, *wants: str) -> Seen:
        prefixed = (f"{column}:{want}" for want in wants)
        return no_database(play.host) or seen(compare(play.host.state.ovs, OPEN_VSWITCH, *prefixed))

    return look


def _act_keys(column: str) -> Callable[..., None]:
    def act(play: Play, *wants: str) -> None:
        put(play.host.state.ovs, OPEN_VSWITCH, *(f"{column}:{want}" for want in wants))

    return act


def _look_identity(play: Play, identity: str) -> Seen:
    if nothing := no_database(play.host):
        return nothing
    have = (play.host.state.files.text(SYSTEM_ID) or "").partition("\n")[0]
    diff = "" if have == identity else f"-system-id.conf: {have or '(none)'}\n+system-id.conf: {identity}\n"
    return seen(diff + compare(play.host.state.ovs, OPEN_VSWITCH, f"external_ids:system-id={identity}"))


def _act_identity(play: Play, identity: str) -> None:
    act_file(play, SYSTEM_ID, "0644", "root:root", f"{identity}\n")
    put(play.host.state.ovs, OPEN_VSWITCH, f"external_ids:system-id={identity}")


def _look_tso(play: Play) -> Seen:
    wanted = "other_config:userspace-tso-enable=true"
    return no_database(play.host) or seen(compare(play.host.state.ovs, OPEN_VSWITCH, wanted))


def _act_tso(play: Play) -> None:
    put(play.host.state.ovs, OPEN_VSWITCH, "other_config:userspace-tso-enable=true")
    play.host.state.start("openvswitch-switch")


def tls_words(key: str, certificate: str, authority: str) -> tuple[str, str, str]:
    """Give the columns of the database's table SSL."""
    return f"private_key={key}", f"certificate={certificate}", f"ca_cert={authority}"


def _look_ssl(play: Play, *files: str) -> Seen:
    return no_database(play.host) or seen(compare(play.host.state.ovs, "SSL .", *tls_words(*files)))


def _act_ssl(play: Play, *files: str) -> None:
    put(play.host.state.ovs, "SSL .", *tls_words(*files))


def _keys(*wants: str) -> str:
    return " ".join(want.partition("=")[0] for want in wants)


VERBS: dict[str, Verb] = {
    "ovs_bridge": StepVerb(lambda name, *_: f"bridge {name}", _look_bridge, _act_bridge, 1, None),
    "ovs_external_ids": StepVerb(
        lambda *wants: f"external ids {_keys(*wants)}", _look_keys("external_ids"), _act_keys("external_ids"), 1, None
    ),
    "ovs_other_config": StepVerb(
        lambda *wants: f"other config {_keys(*wants)}", _look_keys("other_config"), _act_keys("other_config"), 1, None
    ),
    "ovs_identity": StepVerb(lambda _: "system id", _look_identity, _act_identity, 1, 1),
    "ovs_userspace_tso": StepVerb(lambda: "userspace tso", _look_tso, _act_tso, 0, 0),
    "ovs_ssl": StepVerb(lambda *_: "ovs ssl", _look_ssl, _act_ssl, 3, 3),
}
