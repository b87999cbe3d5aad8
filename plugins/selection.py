"""What a command line selects: which stages on which hosts, and the words that select it again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from nornir.core import Nornir

from plugins.context import RebootPolicy, RunContext
from plugins.errors import SelectionError
from plugins.graph import Pair
from plugins.inventory import host_settings
from plugins.inventory.model import ClusterSettings, Role
from plugins.results import RunPlan
from plugins.settings import ROOT
from plugins.stages import Runbook
from plugins.words import listed


@dataclass(frozen=True)
class Options:
    """The command line's choices, the same for every runbook."""

    inventory: Path = ROOT / "inventory"
    hosts: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    expression: str = ""
    only: tuple[str, ...] = ()
    start: str = ""
    dry_run: bool = False
    workers: int | None = None
    report: Path | None = None
    mirror: str = ""
    reboot: RebootPolicy = RebootPolicy.NEEDED
    verbose: bool = False


def pairs_of(runbook: Runbook, nornir: Nornir, hosts: tuple[str, ...], options: Options) -> list[Pair]:
    """Give what to run where; a gathering stage comes along with the stage that compares what it gathered."""
    cluster: ClusterSettings = nornir.inventory.defaults.data["cluster"]
    names = [stage.name for stage in runbook.stages]
    left_out = {stage.name for stage in runbook.stages if stage.kubernetes and not cluster.kubernetes}
    wanted = {runbook.stage(name).name for name in options.only} or set(names)
    if options.start:
        wanted &= set(names[names.index(runbook.stage(options.start).name) :])
    if not wanted:
        chosen = ", ".join(options.only)
        raise SelectionError(f"nothing to run: no stage of --only ({chosen}) is {options.start} or comes after it")
    if wanted <= left_out:
        raise SelectionError("nothing to run: this cluster is an overlay alone (kubernetes: false in defaults.yaml)")
    wanted -= left_out
    roles = {name: host_settings(host).role for name, host in nornir.inventory.hosts.items()}
    master = next(name for name, role in roles.items() if role is Role.MASTER)
    if runbook.with_master and any(roles[host] is not Role.WINDOWS for host in hosts):
        hosts = (*hosts, master)
    places: dict[str, set[str]] = {name: set(hosts) for name in wanted}
    for stage in runbook.stages:
        if stage.name in wanted and stage.gathers and any(roles[host] in stage.roles for host in hosts):
            places.setdefault(stage.gathers, set()).update([*hosts, master])
    pairs = [
        Pair(stage.name, host)
        for stage in runbook.stages
        for host in nornir.inventory.hosts
        if host in places.get(stage.name, ()) and roles[host] in stage.roles
    ]
    if not pairs:
        stages = [name for name in names if name in wanted]
        verb = "is" if len(stages) == 1 else "are"
        raise SelectionError(f"nothing to run: {', '.join(stages)} {verb} not for {listed(hosts)}")
    return pairs


def plan_of(
    runbook: Runbook, nornir: Nornir, context: RunContext, selected: tuple[str, ...], pairs: list[Pair]
) -> RunPlan:
    """Sum up what is about to run, for whoever watches it."""
    stages = {pair.stage for pair in pairs}
    hosts = {pair.host for pair in pairs} | set(selected)
    work: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        work[pair.host] = (*work.get(pair.host, ()), pair.stage)
    return RunPlan(
        run_id=context.run_id,
        runbook=runbook.name,
        title=runbook.title,
        cluster=context.cluster.name,
        release=context.release.name,
        dry_run=context.dry_run,
        stages=tuple(stage.name for stage in runbook.stages if stage.name in stages),
        work=work,
        hosts={name: host_settings(host).role.value for name, host in nornir.inventory.hosts.items() if name in hosts},
    )


def rerun_command(runbook: Runbook, pair: Pair, options: Options) -> str:
    """Give the command that runs just this pair again, as carefully as it was run: a dry run stays one."""
    words = ["python", "-m", *(word.format(stage=pair.stage) for word in runbook.again), "--host", pair.host]
    if options.inventory != ROOT / "inventory":
        words += ["-i", str(options.inventory)]
    if options.mirror:
        words += ["--mirror", options.mirror]
    if options.reboot is not RebootPolicy.NEEDED:
        words += ["--reboot", options.reboot.value]
    if options.dry_run:
        words.append("--dry-run")
    return " ".join(quote(word) for word in words)


def first_command(runbook: Runbook, pair: Pair, options: Options) -> str:
    """Give the command that does what others need; a dry run of it would not help them."""
    return rerun_command(runbook, pair, replace(options, dry_run=False))


def lock_command(inventory: Path) -> str:
    """Give the command that pins the downloads of an inventory's release."""
    words = ["python", "-m", "runbooks.artifacts", "lock"]
    if inventory != ROOT / "inventory":
        words += ["-i", str(inventory)]
    return " ".join(quote(word) for word in words)
