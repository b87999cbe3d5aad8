"""Simulated twins of the system verbs: package service restart_on kernel_module sysctl ensure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from plugins.simulate.state import LOADED_AT_BOOT
from plugins.simulate.units import Unit, read_unit
from plugins.simulate.verbs_files import act_file, act_line
from plugins.simulate.vocabulary import AS_WANTED, ActFailedError, Seen, StepVerb, Verb

if TYPE_CHECKING:
    from plugins.simulate.play import Play

SELF_STARTED = ("static", "alias", "indirect", "generated", "enabled-runtime")


def _look_package(play: Play, *wants: str) -> Seen:
    diff, missing = "", []
    for want in wants:
        name, _, version = want.partition("=")
        have = play.host.state.packages.get(name, "")
        if not have or (version and not fnmatchcase(have, version)):
            missing.append(want)
            diff += f"-{name} {have or '(not installed)'}\n+{name} {version or '(newest)'}\n"
    return Seen(1, diff, f"not installed: {' '.join(missing)}") if missing else AS_WANTED


def _act_package(play: Play, *wants: str) -> None:
    state = play.host.state
    for want in wants:
        name, _, version = want.partition("=")
        have = state.packages.get(name, "")
        if not have or (version and not fnmatchcase(have, version)):
            state.install(name, state.candidate(version))
    if play.host.strike(("want-reboot",)):
        state.reboot_required = "a package asks for a reboot (/run/reboot-required)"


def _look_service(play: Play, name: str, *wants: str) -> Seen:
    unit = play.host.state.unit(name)
    if unit is None:
        return Seen(2, message=f"there is no service {name}")
    diff = ""
    for want in wants:
        if want in {"enabled", "disabled"}:
            seen = unit.enabled
        elif want == "running":
            seen = "running" if unit.active else "inactive"
        elif want == "starting":
            seen = "starting" if unit.active else "inactive"
        elif want == "stopped":
            seen = "active" if unit.active else "stopped"
        else:
            return Seen(3, diff, f"{want} is not a state of a service")
        if seen != want and not (want == "enabled" and seen in SELF_STARTED):
            diff += f"-{name} {seen}\n+{name} {want}\n"
    return Seen(1, diff) if diff else AS_WANTED


def _act_service(play: Play, name: str, *wants: str) -> None:
    state = play.host.state
    for want in wants:
        if want in {"enabled", "disabled"}:
            state.units.setdefault(name, Unit()).enabled = want
        elif want in {"running", "starting"}:
            if not state.running(name):
                _start(play, name)
        else:
            state.stop(name)


def _look_restart(play: Play, name: str, *paths: str) -> Seen:
    state = play.host.state
    touched = [path for path in paths if path in play.touched] if play.dry_run else []
    if touched:
        return Seen(1, "".join(f"+restart {name}: {path} would change\n" for path in touched))
    unit = state.unit(name)
    if unit is None:
        return Seen(2, message=f"there is no service {name}")
    if not unit.active:
        return Seen(1, f"-{name} inactive\n+{name} running\n")
    entries = [(path, state.files.behind(path)) for path in paths]
    newer = [path for path, entry in entries if entry is not None and entry.changed > unit.since]
    diff = "".join(f"+restart {name}: {path} is newer than its start\n" for path in newer)
    return Seen(1, diff) if diff else AS_WANTED


def _act_restart(play: Play, name: str, *_: str) -> None:
    _start(play, name)


def _start(play: Play, name: str) -> None:
    """Start a service, or start it anew; one that tells systemd when it is well is waited for."""
    state = play.host.state
    file = read_unit(state.files, name)
    if file and file.notifies and (words := play.host.ailing(name)):
        state.units.setdefault(name, Unit()).active = False
        raise ActFailedError(words)
    if why := state.start(name):
        raise ActFailedError(why)


def _module(name: str) -> str:
    return name.replace("-", "_")


def _look_module(play: Play, *names: str) -> Seen:
    state = play.host.state
    at_boot = (state.files.text(LOADED_AT_BOOT) or "").split("\n")
    diff = ""
    for name in names:
        if _module(name) not in state.modules:
            diff += f"+load {name}\n"
        if name not in at_boot:
            diff += f"+load {name} at boot\n"
    return Seen(1, diff) if diff else AS_WANTED


def _act_module(play: Play, *names: str) -> None:
    state = play.host.state
    state.modules += [_module(name) for name in names if _module(name) not in state.modules]
    for name in names:
        if name not in (state.files.text(LOADED_AT_BOOT) or "").split("\n"):
            act_line(play, LOADED_AT_BOOT, name)


def _sysctl_file(name: str) -> str:
    return f"/etc/sysctl.d/90-ovn-runbooks-{name}.conf"


def look_sysctl(play: Play, name: str, *wants: str) -> Seen:
    """Compare KEY=VALUE with what the kernel has now, and will have after a boot."""
    state, diff = play.host.state, ""
    at_boot = (state.files.text(_sysctl_file(name)) or "").split("\n")
    for want in wants:
        key, _, value = want.partition("=")
        now = state.kernel.get(key, "(none)")
        if now != value:
            diff += f"-{key}={now}\n+{want}\n"
        if want not in at_boot:
            diff += f"+{want} at boot\n"
    return Seen(1, diff) if diff else AS_WANTED


def act_sysctl(play: Play, name: str, *wants: str) -> None:
    """Set KEY=VALUE now and at every boot."""
    state = play.host.state
    for want in wants:
        key, _, value = want.partition("=")
        if key not in state.kernel:
            raise ActFailedError(f"/proc/sys/{key}: No such file or directory")
        state.kernel[key] = value
    act_file(play, _sysctl_file(name), "0644", "root:root", "".join(f"{want}\n" for want in wants))


def _look_ensure(play: Play, name: str, guard: str, act: str) -> Seen:  # noqa: ARG001  # the three words are one thing
    return AS_WANTED if f"{guard}\n{act}" in play.host.state.ensured else Seen(1)


def _act_ensure(play: Play, name: str, guard: str, act: str) -> None:  # noqa: ARG001
    play.host.state.ensured.append(f"{guard}\n{act}")


def _name(name: str, *_: str) -> str:
    return name


VERBS: dict[str, Verb] = {
    "package": StepVerb(lambda *wants: f"package {' '.join(wants)}", _look_package, _act_package, 1, None),
    "service": StepVerb(
        lambda name, *wants: f"service {name} {' '.join(wants)}", _look_service, _act_service, 2, None, _name
    ),
    "restart_on": StepVerb(lambda name, *_: f"restart {name} on change", _look_restart, _act_restart, 2, None, _name),
    "kernel_module": StepVerb(lambda *names: f"kernel module {' '.join(names)}", _look_module, _act_module, 1, None),
    "sysctl": StepVerb(lambda _, *wants: f"sysctl {' '.join(wants)}", look_sysctl, act_sysctl, 2, None),
    "ensure": StepVerb(lambda name, *_: name, _look_ensure, _act_ensure, 3, 3),
}
