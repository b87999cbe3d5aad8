"""What an operator reads when a run is over: one row per host, then what went wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from plugins.output.cells import Line, word
from plugins.output.details import diffs, interrupted, skipped
from plugins.output.failures import failures
from plugins.output.grid import host_table
from plugins.output.lines import Indented, unwrapped
from plugins.output.text import one_line, plural
from plugins.output.verdict import changes, longest_chain, verdict
from plugins.results import HostResult, RunResult, StageResult, StageStatus

_ALL_ROWS = 50  # hosts; beyond, equal ones are summed up
_ALIKE = 3  # hosts that may be equal and still have a row each
_BAD_ROWS = 40  # rows of failed hosts


def summary(
    result: RunResult,
    *,
    width: int,
    verbose: bool = False,
    log_folder: Path | None = None,
    report: Path | None = None,
    warnings: Sequence[str] = (),
) -> Group:
    """Sum up a run for `width` cells. Print it with `crop=False`: commands and paths are lines of any length.

    `log_folder` is the run's own one; `warnings` are about the output itself. `verbose` shows every host and diff.
    """
    parts: list[RenderableType] = [*_hosts(result, width, verbose=verbose)]
    if result.plan.dry_run:
        parts += diffs(result, log_folder, verbose=verbose)
    parts += failures(result, log_folder, verbose=verbose)
    parts += skipped(result)
    parts += interrupted(result)
    parts.append(Text())
    if result.plan.dry_run:
        parts.append(Indented(f"Dry run: {changes(result)}; nothing was written.", "bold magenta", ""))
    if verbose and result.critical_path:
        parts.append(Indented(longest_chain(result), "dim", "  "))
    parts += (Indented(f"Warning: {one_line(text)}", "yellow", "") for text in warnings)
    parts += (unwrapped(f"{name}: {path}") for name, path in (("Logs", log_folder), ("Report", report)) if path)
    parts.append(Indented(verdict(result), _verdict_style(result), ""))
    return Group(*parts)


def _verdict_style(result: RunResult) -> str:
    return {0: "bold green", 130: "bold yellow"}.get(result.exit_code, "bold red")


def _hosts(result: RunResult, width: int, *, verbose: bool) -> Iterator[RenderableType]:
    hosts = list(result.hosts.values())
    lines, notes = ([Line(host) for host in hosts], []) if verbose or len(hosts) <= _ALL_ROWS else _summed_up(hosts)
    if lines:
        yield host_table(lines, result.plan, width)
    yield from (Indented(note, "dim", "") for note in notes)


def _summed_up(hosts: Sequence[HostResult]) -> tuple[list[Line], list[str]]:
    """Give failed hosts a row each, equal other hosts one row together, and a note to those where all was ok."""
    bad = [host for host in hosts if host.status.bad]
    fine = sum(_is_fine(host) for host in hosts)
    others = [host for host in hosts if not host.status.bad and not _is_fine(host)]
    lines = _alike(others, word)
    if len(lines) > _ALL_ROWS:
        lines = _alike(others, lambda stage: stage.status)
    lines = [*map(Line, bad[:_BAD_ROWS]), *lines]
    return lines, list(_notes(len(bad) - _BAD_ROWS, fine, lines))


def _is_fine(host: HostResult) -> bool:
    return {stage.status for stage in host.stages} == {StageStatus.OK}


def _alike(hosts: Sequence[HostResult], say: Callable[[StageResult], str]) -> list[Line]:
    groups: dict[tuple[str, ...], list[HostResult]] = {}
    for host in hosts:
        groups.setdefault((host.role, *(f"{stage.name} {say(stage)}" for stage in host.stages)), []).append(host)
    lines: list[Line] = []
    for group in groups.values():
        slowest = max(group, key=lambda host: host.seconds)
        lines += map(Line, group) if len(group) <= _ALIKE else [Line(slowest, len(group) - 1)]
    return lines


def _notes(failed: int, fine: int, lines: Sequence[Line]) -> Iterator[str]:
    if failed > 0:
        yield f"{plural(failed, 'more host')} failed; --verbose shows all"
    if any(line.like for line in lines):
        yield "(+N): N more hosts whose stages ended alike; the numbers are of the one named, the slowest"
    if fine:
        yield f"{plural(fine, 'more host' if lines else 'host')}: all ok"
