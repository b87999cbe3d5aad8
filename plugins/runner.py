"""One run from its options to its exit status: load, select, lock, schedule, show, report."""

from __future__ import annotations

import getpass
import logging
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from threading import Thread

from nornir.core import Nornir
from nornir.core.inventory import Host
from nornir.core.task import Task

from plugins.connections import close_shell, open_shell
from plugins.context import RebootPolicy, RunContext, attach, new_run_id
from plugins.errors import LockedError, SelectionError, UnreachableError, UsageError
from plugins.filters import select
from plugins.graph import Graph, Pair
from plugins.inventory import host_settings
from plugins.inventory.model import ClusterSettings, Role
from plugins.locks import MasterLock, local_lock
from plugins.output.console import Output, make_output
from plugins.processors.base import RunProcessor
from plugins.releases import load_release
from plugins.results import HostResult, RunPlan, RunResult, StageResult, StageStatus
from plugins.scheduler import Outcome, Scheduler
from plugins.settings import ROOT, init, load_settings
from plugins.stages import Runbook, Scope

INTERRUPTED = 130
# Nornir logs task arguments, and tracebacks which may quote secrets; what it has to say is in the results.
logging.getLogger("nornir").addHandler(logging.NullHandler())
logging.getLogger("nornir").propagate = False


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
    reboot: RebootPolicy = RebootPolicy.NEEDED
    verbose: bool = False


def run(runbook: Runbook, options: Options) -> int:
    """Run `runbook`; return the exit status. Usage errors are shown, not raised."""
    try:
        return _run(runbook, options)
    except UsageError as error:
        print(f"{error}", file=sys.stderr)
        return 2
    except LockedError as error:
        print(f"{error}", file=sys.stderr)
        return 3


def _run(runbook: Runbook, options: Options) -> int:
    settings = load_settings(ROOT / "config.yaml")
    nornir = init(options.inventory, settings)
    cluster: ClusterSettings = nornir.inventory.defaults.data["cluster"]
    run_id = new_run_id()
    context = RunContext(
        settings=settings,
        cluster=cluster,
        release=load_release(cluster.release, options.inventory),
        dry_run=options.dry_run,
        reboot=options.reboot,
        run_id=run_id,
        owner=f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()}) since {datetime.now(UTC):%F %T} UTC",
    )
    attach(nornir, context)
    selected = select(nornir, options.hosts, options.roles, options.expression)
    pairs = _pairs(runbook, nornir, selected, options)
    plan = _plan(runbook, nornir, context, selected, pairs)
    with ExitStack() as stack:
        if runbook.changes and not options.dry_run:
            stack.enter_context(local_lock(context.state_folder, context.owner))
        output = stack.enter_context(_output(plan, context, options))
        return _execute(runbook, nornir, context, plan, pairs, output, options)


def _pairs(runbook: Runbook, nornir: Nornir, hosts: tuple[str, ...], options: Options) -> list[Pair]:
    """Give what to run where; a gathering stage comes along with the stage that compares what it gathered."""
    names = [stage.name for stage in runbook.stages]
    wanted = {runbook.stage(name).name for name in options.only} or set(names)
    if options.start:
        wanted &= set(names[names.index(runbook.stage(options.start).name) :])
    roles = {name: host_settings(host).role for name, host in nornir.inventory.hosts.items()}
    master = next(name for name, role in roles.items() if role is Role.MASTER)
    places: dict[str, set[str]] = {name: set(hosts) for name in wanted}
    for stage in runbook.stages:
        if stage.name in wanted and stage.gathers:
            places.setdefault(stage.gathers, set()).update([*hosts, master])
    pairs = [
        Pair(stage.name, host)
        for stage in runbook.stages
        for host in nornir.inventory.hosts
        if host in places.get(stage.name, ()) and roles[host] in stage.roles
    ]
    if not pairs and not all(roles[host] is Role.WINDOWS for host in hosts):
        stages, where = ", ".join(sorted(wanted)), ", ".join(hosts)
        raise SelectionError(f"nothing to run: {stages} is not for {where}")
    return pairs


def _plan(
    runbook: Runbook, nornir: Nornir, context: RunContext, selected: tuple[str, ...], pairs: list[Pair]
) -> RunPlan:
    stages = {pair.stage for pair in pairs}
    hosts = {pair.host for pair in pairs} | set(selected)
    return RunPlan(
        run_id=context.run_id,
        runbook=runbook.name,
        title=runbook.title,
        cluster=context.cluster.name,
        release=context.release.name,
        dry_run=context.dry_run,
        stages=tuple(stage.name for stage in runbook.stages if stage.name in stages),
        hosts={name: host_settings(host).role.value for name, host in nornir.inventory.hosts.items() if name in hosts},
    )


@contextmanager
def _output(plan: RunPlan, context: RunContext, options: Options) -> Iterator[Output]:
    output = make_output(plan, context.settings, verbose=options.verbose, report=options.report)
    try:
        yield output
    finally:
        output.close()


class _Running(RunProcessor):
    """Remembers what runs where, to say so when the run is interrupted."""

    def __init__(self) -> None:
        self.steps: dict[str, str] = {}

    def task_instance_started(self, task: Task, host: Host) -> None:
        self.steps[host.name] = task.name

    def step_started(self, task: Task, host: Host, name: str) -> None:
        self.steps[host.name] = f"{task.name}: {name}"

    def stage_settled(self, host: str, result: StageResult) -> None:  # noqa: ARG002
        self.steps.pop(host, None)


def _execute(
    runbook: Runbook,
    nornir: Nornir,
    context: RunContext,
    plan: RunPlan,
    pairs: list[Pair],
    output: Output,
    options: Options,
) -> int:
    started = datetime.now(UTC)
    running = _Running()
    nornir.processors.extend([*output.processors, running])
    roles = {name: host_settings(host).role for name, host in nornir.inventory.hosts.items()}
    graph = Graph(runbook.stages, roles, set(pairs))
    executor = ThreadPoolExecutor(options.workers or context.settings.workers, thread_name_prefix="host")
    scheduler = Scheduler(runbook, graph, nornir, context, executor, lambda pair: _rerun(pair, options))
    lock: MasterLock | None = None
    output.run_started(plan)
    code = 0
    try:
        # Side by side with taking the lock; whoever cannot be reached fails in its first stage.
        for host in {pair.host for pair in pairs}:
            executor.submit(open_shell, nornir.inventory.hosts[host], context)
        if runbook.changes and not options.dry_run:
            lock = _lock_if_reachable(nornir, context, output)
        scheduler.run()
    except KeyboardInterrupt:
        code = INTERRUPTED
        context.stop.set()
    finally:
        steps = dict(running.steps)
        if lock is not None:
            lock.release()
            if lock.taken:
                code = 3
                output.warn(f"The cluster's lock was lost while the master was away. {lock.taken}")
        _close_all(nornir)
        executor.shutdown(wait=False, cancel_futures=True)
    result = _result(runbook, plan, scheduler.outcome, started, steps if code else {})
    result.exit_code = code or int(any(host.status.bad for host in result.hosts.values()))
    output.run_completed(result)
    return result.exit_code


def _lock_if_reachable(nornir: Nornir, context: RunContext, output: Output) -> MasterLock | None:
    """Take the master's lock; a master that is down leaves the local one, and fails by itself later."""
    try:
        return MasterLock(nornir, context)
    except UnreachableError:
        output.warn("The cluster's lock on the master could not be taken, as it is not reached; going on without it.")
        return None


def _close_all(nornir: Nornir) -> None:
    """Close every connection side by side: a dead one may take its time."""
    threads = [
        Thread(target=close_shell, args=[host], daemon=True)
        for host in nornir.inventory.hosts.values()
        if host.connections
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=3)


def _result(runbook: Runbook, plan: RunPlan, outcome: Outcome, started: datetime, running: dict[str, str]) -> RunResult:
    hosts = {name: HostResult(name, role) for name, role in plan.hosts.items()}
    for stage in runbook.stages:
        for name, host in hosts.items():
            if (found := outcome.stages.get(Pair(stage.name, name))) is not None:
                host.stages.append(found)
                host.seconds += found.seconds
    for host in hosts.values():
        if not host.stages and host.role == Role.WINDOWS.value:
            host.stages.append(
                StageResult(plan.stages[0] if plan.stages else "", StageStatus.SKIPPED, message="no Windows tasks yet")
            )
    return RunResult(plan, started, datetime.now(UTC), 0, hosts, running)


def _rerun(pair: Pair, options: Options) -> str:
    """Give the command that runs just this pair again."""
    words = ["python", "-m", "runbooks.task", pair.stage, "--host", pair.host]
    if options.inventory != ROOT / "inventory":
        words += ["-i", str(options.inventory)]
    return " ".join(quote(word) for word in words)


__all__ = ["Options", "Runbook", "Scope", "run"]
