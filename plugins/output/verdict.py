"""The last sentence of a run: how it went, how long it took, and what its exit status means."""

from __future__ import annotations

from plugins.output.text import duration, plural
from plugins.results import HostResult, RunResult, StageStatus
from plugins.steps import Status
from plugins.words import listed

_INTERRUPTED = 130
_MEANING = {
    1: "a host failed",
    2: "the command, inventory or selection is wrong",
    3: "another run holds the lock",
    _INTERRUPTED: "interrupted",
}
_NAMES = 3


def verdict(result: RunResult) -> str:
    """Say in one sentence how the run ended."""
    dry = "dry run; " if result.plan.dry_run else ""
    meaning = _MEANING.get(result.exit_code)
    status = f"exit status {result.exit_code}" + (f": {meaning}" if meaning else "")
    return f"{_outcome(result, list(result.hosts.values()))} ({dry}{status})."


def _outcome(result: RunResult, hosts: list[HostResult]) -> str:
    after = f"after {duration(result.seconds)}"
    bad = [host for host in hosts if host.status.bad]
    failed = f"{len(bad):,} of {plural(len(hosts), 'host')} failed"
    if result.exit_code == _INTERRUPTED:
        running = f"something was running on {plural(len(result.running), 'host')}"
        return f"Interrupted {after}: {running}" + (f", {failed} before" if bad else "")
    if bad:
        return f"{failed} {after}: {listed([_where(host) for host in bad], _NAMES)}"
    if result.exit_code:
        return f"The run failed {after}"
    return _good(result, hosts)


def _where(host: HostResult) -> str:
    stage = next((stage.name for stage in host.stages if stage.status.bad), "")
    return f"{host.name} at {stage}"


def longest_chain(result: RunResult) -> str:
    """Tell which needs the run could not have been faster than."""
    links = [f"{link.stage} of {link.host} {duration(link.seconds)}" for link in result.critical_path]
    total = sum(link.seconds for link in result.critical_path)
    return f"Longest chain of needs: {duration(total)} of {duration(result.seconds)}: {', '.join(links)}"


def changes(result: RunResult) -> str:
    """Sum up the changes: `changed 3 steps on 2 hosts`, or what a dry run would change."""
    dry = result.plan.dry_run
    status = Status.WOULD_CHANGE if dry else Status.CHANGED
    counts = [count for host in result.hosts.values() if (count := host.count(status))]
    verb = "would change" if dry else "changed"
    if not counts:
        return f"{verb} nothing"
    return f"{verb} {plural(sum(counts), 'step')} on {plural(len(counts), 'host')}"


def _good(result: RunResult, hosts: list[HostResult]) -> str:
    skipped = sum(host.status is StageStatus.SKIPPED for host in hosts)
    aside = f" ({plural(skipped, 'host')} skipped)" if skipped else ""
    return (
        f"All well on {plural(len(hosts) - skipped, 'host')}{aside} after {duration(result.seconds)}: {changes(result)}"
    )
