"""Simulated twins of the verbs for services: service_defined service_recovery service restart_on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.simulate.vocabulary import AS_WANTED, ActFailedError, Seen, StepVerb, Verb
from plugins.simulate.windows.nodes import missing_program
from plugins.simulate.windows.state import Service, WindowsState
from plugins.simulate.windows.verbs_files import at

if TYPE_CHECKING:
    from plugins.simulate.play import Play

_STARTS = {"automatic": "Auto", "manual": "Manual", "disabled": "Disabled"}
_WORDS = {start: word for word, start in _STARTS.items()}


def _windows(play: Play) -> WindowsState:
    return play.host.state.windows_part


def _start(play: Play, name: str) -> None:
    service = _windows(play).services.get(name)
    if service is not None and (program := missing_program(play.host, service.command)):
        raise ActFailedError(f"Service '{name} ({name})' cannot be started: {program} cannot be found")
    if service is not None and (why := play.host.world.plane.refusal(play.host, name)):
        raise ActFailedError(f"Service '{name} ({name})' has ended: {why}")
    try:
        _windows(play).start(name, play.host.state.next_tick())
    except KeyError as missing:
        raise ActFailedError(f"Service '{name} ({name})' cannot be started: {missing} does not exist") from None


def _start_with_paused(play: Play, name: str) -> None:
    """Start a service, and what was stopped together with it; one that does not start is told of once."""
    windows, problems = _windows(play), []
    _start(play, name)
    for other in windows.paused(name):
        try:
            _start(play, other)
        except ActFailedError as error:
            problems.append(f"{other} does not start again: {error}")
    windows.services[name].paused_with = []
    if problems:
        raise ActFailedError("\n".join(problems))


def _look_defined(play: Play, name: str, command: str, *depends: str) -> Seen:
    service = _windows(play).services.get(name)
    if service is None:
        return Seen(1, f"-{name} (missing)\n+{name} {command}\n")
    diff = "" if service.command == command else f"-{name} {service.command}\n+{name} {command}\n"
    seen, wanted = " ".join(sorted(service.depends)), " ".join(sorted(depends))
    if seen != wanted:
        diff += f"-{name} after {seen}\n+{name} after {wanted}\n"
    if service.account != "LocalSystem":
        diff += f"-{name} as {service.account}\n+{name} as LocalSystem\n"
    return Seen(1, diff) if diff else AS_WANTED


def _act_defined(play: Play, name: str, command: str, *depends: str) -> None:
    services = _windows(play).services
    if name not in services:
        services[name] = Service(command, list(depends))
        return
    _windows(play).pause(name)
    found = services[name]
    found.command, found.depends, found.account = command, list(depends), "LocalSystem"


def _look_recovery(play: Play, name: str, *delays: str) -> Seen:
    service = _windows(play).services.get(name)
    if service is None:
        return Seen(2, message=f"there is no service {name}")
    wanted = _recovery(delays)
    return AS_WANTED if service.recovery == wanted else Seen(1, f"-{name} {service.recovery}\n+{name} {wanted}\n")


def _recovery(delays: tuple[str, ...]) -> str:
    return f"86400 {'/'.join(f'restart/{delay}' for delay in delays)}"


def _act_recovery(play: Play, name: str, *delays: str) -> None:
    _windows(play).services[name].recovery = _recovery(delays)


def _look_service(play: Play, name: str, *wants: str) -> Seen:
    service = _windows(play).services.get(name)
    if service is None:
        return Seen(2, message=f"there is no service {name}")
    diff = ""
    for want in wants:
        if want in _STARTS:
            seen = _WORDS[service.start]
        elif want in {"running", "stopped"}:
            seen = service.state.lower()
        elif want.startswith("log="):
            continue
        else:
            return Seen(3, diff, f"{want} is not a state of a service")
        if seen != want:
            diff += f"-{name} {seen}\n+{name} {want}\n"
        if want == "running":
            diff += "".join(f"-{other} stopped\n+{other} running\n" for other in _windows(play).paused(name))
    return Seen(1, diff) if diff else AS_WANTED


def _act_service(play: Play, name: str, *wants: str) -> None:
    for want in wants:
        if want in _STARTS:
            _windows(play).services[name].start = _STARTS[want]
        elif want == "stopped":
            _windows(play).stop(name)
        elif want == "running":
            _start_with_paused(play, name)


def _look_restart(play: Play, name: str, *paths: str) -> Seen:
    touched = [path for path in paths if path in play.touched] if play.dry_run else []
    if touched:
        return Seen(1, "".join(f"+restart {name}: {path} would change\n" for path in touched))
    service = _windows(play).services.get(name)
    if service is None:
        return Seen(2, message=f"there is no service {name}")
    if service.state != "Running":
        return Seen(1, f"-{name} {service.state.lower()}\n+{name} running\n")
    entries = [(path, at(play, path)) for path in paths]
    newer = [path for path, entry in entries if entry is not None and entry.changed > service.since]
    diff = "".join(f"+restart {name}: {path} is newer than its start\n" for path in newer)
    return Seen(1, diff) if diff else AS_WANTED


def _act_restart(play: Play, name: str, *_: str) -> None:
    _windows(play).pause(name)
    _start_with_paused(play, name)


def _name(name: str, *_: str) -> str:
    return name


def _title(*words: str) -> str:
    return f"service {' '.join(word for word in words if not word.startswith('log='))}"


VERBS: dict[str, Verb] = {
    "service_defined": StepVerb(lambda name, *_: f"service {name} defined", _look_defined, _act_defined, 2, None),
    "service_recovery": StepVerb(lambda name, *_: f"service {name} recovery", _look_recovery, _act_recovery, 2, None),
    "service": StepVerb(_title, _look_service, _act_service, 2, None, _name),
    "restart_on": StepVerb(lambda name, *_: f"restart {name} on change", _look_restart, _act_restart, 2, None, _name),
}
