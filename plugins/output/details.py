"""Below the failures: skipped stages, what a dry run would change, what an interruption left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from plugins.output.lines import Indented, unwrapped
from plugins.output.text import MORE, log_name, one_line, plural, safe, unnamed
from plugins.results import HostResult, RunResult, StageStatus
from plugins.steps import Status
from plugins.words import listed

_THIS_HOST = "the same host"
_NAMES = 12  # hosts named in one place
_RUNNING = 20  # hosts listed as interrupted
_DIFF_LINES = 40  # of one host, when not all are wanted
_DIFF_HOSTS = 10  # blocks of hosts that would change alike


def skipped(result: RunResult) -> Iterator[RenderableType]:
    """Yield hosts by the reason why stages were skipped; a host that failed itself has told its reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for host in result.hosts.values():
        for reason, stages in _skips(host).items() if not host.status.bad else ():
            what = "all stages" if len(stages) == len(host.stages) else ", ".join(stages)
            reasons.setdefault((reason, what), []).append(host.name)
    if reasons:
        yield Text()
        yield Text("Skipped", style="bold")
    for (reason, what), names in reasons.items():
        yield Indented(f"{reason}: {listed(names, _NAMES)} ({what})")


def _skips(host: HostResult) -> dict[str, list[str]]:
    """Give the skipped stages by reason; one that was skipped because of an earlier skip goes with that."""
    skips: dict[str, list[str]] = {}
    for stage in host.stages:
        if stage.status is StageStatus.SKIPPED:
            reason = one_line(stage.message).replace(host.name, _THIS_HOST) or "no reason given"
            if _THIS_HOST in reason and skips:
                reason = next(iter(skips))
            skips.setdefault(reason, []).append(stage.name)
    return skips


def diffs(result: RunResult, log_folder: Path | None, *, verbose: bool) -> Iterator[RenderableType]:
    """Yield what a dry run would change, host by host; hosts that differ only in names and addresses together."""
    groups: dict[tuple[str, ...], list[HostResult]] = {}
    for host in result.hosts.values():
        if host.count(Status.WOULD_CHANGE):
            kind = (host.name,) if verbose else tuple(unnamed(line, host.name) for line, _ in _diff_lines(host))
            groups.setdefault(kind, []).append(host)
    shown = list(groups.values())[: None if verbose else _DIFF_HOSTS]
    for group in shown:
        yield from _diff(group, log_folder, verbose=verbose)
    more = sum(map(len, groups.values())) - sum(map(len, shown))
    if more:
        where = f"; all of it: {log_folder}" if log_folder else ""
        yield Text()
        yield unwrapped(f"{MORE} {plural(more, 'more host')} would change{where}")


def _diff(group: Sequence[HostResult], log_folder: Path | None, *, verbose: bool) -> Iterator[RenderableType]:
    first = group[0]
    lines = list(_diff_lines(first))
    most = len(lines) if verbose else _DIFF_LINES
    yield Text()
    yield Text(f"{first.name} would change", style="bold")
    if len(group) > 1:
        names = listed([host.name for host in group[1:]], _NAMES)
        yield Indented(f"(but for names and addresses the same on {names})", "dim")
    yield from (Indented(line, style) for line, style in lines[:most])
    if len(lines) > most:
        where = f": {log_folder / log_name(first.name)}" if log_folder else ""
        yield unwrapped(f"  {MORE} {plural(len(lines) - most, 'more line')}{where}")


def _diff_lines(host: HostResult) -> Iterator[tuple[str, str]]:
    for stage in host.stages:
        for step in stage.steps:
            if step.status is Status.WOULD_CHANGE:
                message = f": {one_line(step.message)}" if step.message else ""
                yield f"{stage.name}, {one_line(step.name)}{message}", ""
                yield from ((f"  {line}", _diff_style(line)) for line in safe(step.diff).splitlines())


def _diff_style(line: str) -> str:
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim")


def interrupted(result: RunResult) -> Iterator[RenderableType]:
    """Yield what was running where, and what that means."""
    if not result.running:
        return
    yield Text()
    yield Text("Interrupted while running", style="bold yellow")
    running = list(result.running.items())
    yield from (Indented(f"{host}: {one_line(what)}") for host, what in running[:_RUNNING])
    if len(running) > _RUNNING:
        yield Indented(f"{MORE} and on {plural(len(running) - _RUNNING, 'more host')}")
    yield Indented("Running again is safe: a new script waits for one that still runs, and does only what is missing.")
