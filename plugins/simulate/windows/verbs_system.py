"""Simulated twins of the verbs for Windows itself: features, registry, firewall, scheduled tasks, Defender, reboot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.simulate.effects import Part
from plugins.simulate.verbs_reboot import ask_for_reboot, reboot_now
from plugins.simulate.vocabulary import AS_WANTED, FreeVerb, Seen, StepVerb, Verb
from plugins.simulate.windows.state import WindowsState

if TYPE_CHECKING:
    from plugins.simulate.play import Play

SERVICING = "Windows is being serviced (RebootPending)"
_KINDS = ("String", "ExpandString", "DWord")


def _windows(play: Play) -> WindowsState:
    return play.host.state.windows_part


def _look_feature(play: Play, name: str) -> Seen:
    seen = _windows(play).features.get(name)
    if seen is None:
        return Seen(3, message=f"Feature name {name} is unknown.")
    if seen in {"Enabled", "EnablePending"}:
        return AS_WANTED
    diff = f"-{name} {seen}\n+{name} Enabled\n"
    reason = play.host.state.reboot_required
    return Seen(2, diff, f"reboot first: {reason}") if reason else Seen(1, diff)


def _act_feature(play: Play, name: str) -> None:
    _windows(play).features[name] = "EnablePending"
    play.host.state.reboot_required = SERVICING


def _look_registry(play: Play, key: str, name: str, kind: str, value: str) -> Seen:
    if kind not in _KINDS:
        return Seen(3, message=f"{kind} is not a kind of registry value")
    return _compared(_windows(play).registry, f"{key} {name}", f"{kind} {value}")


def _act_registry(play: Play, key: str, name: str, kind: str, value: str) -> None:
    _windows(play).registry[f"{key} {name}"] = f"{kind} {value}"


def _look_environment(play: Play, name: str, value: str) -> Seen:
    return _compared(_windows(play).environment, name, value)


def _act_environment(play: Play, name: str, value: str) -> None:
    _windows(play).environment[name] = value


def _look_firewall(play: Play, name: str, protocol: str, port: str) -> Seen:
    return _compared(_windows(play).firewall, name, _rule(protocol, port))


def _act_firewall(play: Play, name: str, protocol: str, port: str) -> None:
    _windows(play).firewall[name] = _rule(protocol, port)


def _rule(protocol: str, port: str) -> str:
    return f"Allow Inbound {protocol} {port} Any True"


def _look_scheduled(play: Play, name: str, program: str, words: str) -> Seen:
    return _compared(_windows(play).scheduled, name, f"at boot as SYSTEM: {program} {words}")


def _act_scheduled(play: Play, name: str, program: str, words: str) -> None:
    _windows(play).scheduled[name] = f"at boot as SYSTEM: {program} {words}"


def _compared(found: dict[str, str], name: str, wanted: str) -> Seen:
    seen = found.get(name, "(missing)")
    return AS_WANTED if seen == wanted else Seen(1, f"-{name} {seen}\n+{name} {wanted}\n")


def _look_exclusion(play: Play, kind: str, what: str) -> Seen:
    if kind not in {"process", "path"}:
        return Seen(3, message=f"{kind} is not a kind of exclusion")
    defender = _windows(play).services.get("WinDefend")
    if defender is None or defender.state != "Running":
        return Seen(0, message="Defender does not run")
    return AS_WANTED if f"{kind} {what}" in _windows(play).exclusions else Seen(1, f"+{kind} {what}\n")


def _act_exclusion(play: Play, kind: str, what: str) -> None:
    _windows(play).exclusions.append(f"{kind} {what}")


_PHASES = {"Enabled": "there", "EnablePending": "pending"}


def _reboot_when(play: Play, policy: str, name: str = "reboot when needed", feature: str = "", phase: str = "") -> Part:
    """Ask for a reboot where the host waits for one; with a feature, one is needed in this phase of it alone."""
    now = _PHASES.get(play.host.state.windows_part.features[feature], "missing") if feature else phase
    reason = f"the feature {feature} asks for it" if phase == now == "pending" else ""
    waits = f"not rebooted, as the feature {feature} is {now}" if now != phase and policy != "always" else ""
    yield from ask_for_reboot(play, policy, name, reason=reason, waits=waits)


VERBS: dict[str, Verb] = {
    "windows_feature": StepVerb(lambda name: f"feature {name}", _look_feature, _act_feature, 1, 1),
    "registry_value": StepVerb(
        lambda key, name, *_: f"registry {key} {name}",
        _look_registry,
        _act_registry,
        4,
        4,
        lambda key, *_: key,
    ),
    "environment_variable": StepVerb(lambda name, *_: f"environment {name}", _look_environment, _act_environment, 2, 2),
    "firewall_rule": StepVerb(lambda name, *_: f"firewall {name}", _look_firewall, _act_firewall, 3, 3),
    "scheduled_task": StepVerb(lambda name, *_: f"scheduled task {name}", _look_scheduled, _act_scheduled, 3, 3),
    "defender_exclusion": StepVerb(
        lambda _kind, what: f"Defender leaves out {what}", _look_exclusion, _act_exclusion, 2, 2
    ),
    "reboot_when": FreeVerb(_reboot_when, 1, 4),
    "reboot_now": FreeVerb(reboot_now, 1, 1),
}
