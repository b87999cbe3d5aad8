"""Simulated twins of nic_bridge, network_confirm, userspace_nic: a change that cuts its line and may be taken back."""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING

from plugins.simulate.effects import Part, Pause
from plugins.simulate.state import HostState
from plugins.simulate.verbs_ovs import compare, no_database, put
from plugins.simulate.verbs_system import act_sysctl, look_sysctl
from plugins.simulate.vocabulary import AS_WANTED, FreeVerb, Seen, StepVerb, Verb
from plugins.steps import Asks, Status

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play

UNTIL_APPLIED = 0.1  # seconds from the script's end to the change
POLL = 0.05  # seconds


def _nic_bridge(play: Play, nic: str, datapath: str, address: str, seconds: str, mtu: str = "") -> Part:
    host, state = play.host, play.host.state
    yield from play.begin("nic bridge")
    resumed = Status.OK
    if state.network == "waiting" and not play.dry_run:
        state.network, resumed = "confirmed", Status.CHANGED  # this script has come over the changed network
    if state.network == "applying" and not play.dry_run:
        yield from _await_applied(state)
        yield from _ask(play)
    name = nic or state.nic
    looked = _look(play, name, datapath, address, mtu)
    if looked.code == 0:
        yield from play.report(resumed)
        return
    if looked.code > 2 or (looked.code == 2 and not play.dry_run):
        yield from play.fail(looked.message, diff=looked.diff)
    if play.dry_run:
        yield from play.report(Status.WOULD_CHANGE, looked.diff, looked.message)
        return
    state.network, state.network_token = "applying", secrets.token_hex(8)
    change = _Change(host, name, datapath, mtu, float(seconds))
    host.world.call_later(UNTIL_APPLIED, change.apply)
    yield from _ask(play, looked.diff)


def _await_applied(state: HostState) -> Part:
    while state.network == "applying":
        yield Pause(POLL)


def _ask(play: Play, diff: str = "") -> Part:
    yield from play.fact("confirm_token", play.host.state.network_token)
    yield from play.report(Status.CHANGED, diff, asks=Asks.CONFIRM)
    yield from play.finish()


def _columns(nic: str, datapath: str) -> tuple[str, ...]:
    return f"datapath_type={datapath}", f"external_ids:bridge-id=br{nic}", f"external_ids:bridge-uplink={nic}"


def _look(play: Play, nic: str, datapath: str, address: str, mtu: str) -> Seen:
    state, bridge = play.host.state, f"br{nic}"
    if nic != state.nic:
        return Seen(3, message=f"there is no NIC {nic} here: correct nic in the inventory")
    if address != state.address:
        return Seen(3, message=f"{address} is on no NIC here: correct address in the inventory")
    nothing = no_database(play.host)
    diff = "" if nothing else compare(state.ovs, f"Bridge {bridge}", *_columns(nic, datapath))
    if state.address_at != bridge:
        diff += f"-{address} at {state.address_at}\n+{address} at {bridge}\n"
    if mtu and int(mtu) != state.mtu:
        diff += f"-{nic} mtu {state.mtu}\n+{nic} mtu {mtu}\n"
    if not diff:
        return AS_WANTED
    return Seen(nothing.code if nothing else 1, diff, nothing.message if nothing else "")


class _Change:
    """One change on its way: made, then confirmed or taken back."""

    def __init__(self, host: SimulatedHost, nic: str, datapath: str, mtu: str, seconds: float) -> None:
        self._host, self._nic, self._datapath = host, nic, datapath
        self._mtu = int(mtu) if mtu else host.state.mtu
        self._seconds = min(seconds, host.world.timing.take_back)
        self._token = host.state.network_token
        self._before = (host.state.mtu, dict(host.state.ovs.get(f"Bridge br{nic}", {})))

    def apply(self) -> None:
        """Move the NIC: the host is silent for a moment, or by a fault lost."""
        if self._token != self._host.state.network_token:
            return
        state, fault = self._host.state, self._host.strike(("lose-network", "cut-network"))
        put(state.ovs, f"Bridge br{self._nic}", *_columns(self._nic, self._datapath))
        state.address_at, state.mtu, state.network = f"br{self._nic}", self._mtu, "waiting"
        moment = self._host.world.timing.network_change
        if fault is None:
            self._host.stall(moment)
        else:
            self._host.leave(math.inf if fault.kind == "lose-network" else moment)
        self._host.world.call_later(self._seconds, self.expire)

    def expire(self) -> None:
        """Take the change back, unless it was confirmed in the meantime or is gone with a reboot."""
        state = self._host.state
        if self._token != state.network_token or state.network != "waiting":
            return
        state.network = "taken-back"
        _take_back(state, *self._before)
        self._host.leave(self._host.world.timing.network_change)


def _take_back(state: HostState, mtu: int, bridge: dict[str, str] | None = None) -> None:
    """Put the network back to what it was: the NIC has the address, and its bridge what it had before."""
    record = f"Bridge br{state.nic}"
    state.address_at, state.mtu = state.nic, mtu
    if bridge:
        state.ovs[record] = bridge
    else:
        state.ovs.pop(record, None)


def _network_confirm(play: Play, token: str) -> Part:
    state = play.host.state
    yield from play.begin("network confirmed")
    if play.dry_run or (state.network_token == token and state.network == "confirmed"):
        yield from play.report(Status.OK)
    elif state.network_token != token:
        yield from play.fail(
            "the change is gone: the host was rebooted before it was confirmed, and has the network that it had"
        )
    elif state.network == "applying":
        yield from _await_applied(state)
        yield from play.report(Status.OK)  # come too early, this script proves nothing; the next one does
    elif state.network == "waiting":
        state.network = "confirmed"
        yield from play.report(Status.CHANGED)
    else:
        yield from play.fail("the network change was taken back: nobody confirmed it in time")


def _from_switch(play: Play, nic: str) -> tuple[str, str]:
    return "nic", f"net/ipv4/conf/{nic or play.host.state.nic}/rp_filter=1"


def _look_userspace(play: Play, nic: str) -> Seen:
    return no_database(play.host) or look_sysctl(play, *_from_switch(play, nic))


def _act_userspace(play: Play, nic: str) -> None:
    act_sysctl(play, *_from_switch(play, nic))


VERBS: dict[str, Verb] = {
    "nic_bridge": FreeVerb(_nic_bridge, 4, 5),
    "network_confirm": FreeVerb(_network_confirm, 1, 1),
    "userspace_nic": StepVerb(lambda _: "userspace nic", _look_userspace, _act_userspace, 1, 1),
}
