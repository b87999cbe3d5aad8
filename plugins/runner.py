"""One run from its options to its exit status: load, select, lock, schedule, show, report."""

from __future__ import annotations

import logging
import os
import socket
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from threading import Thread

from nornir.core import Nornir
from rich.console import Console

from plugins.attempts import Attempts
from plugins.connections import check_files, close_shell
from plugins.context import RunContext, new_run_id
from plugins.critical_path import critical_path
from plugins.errors import LockedError, ScriptError, UnreachableError, UsageError
from plugins.executors.base import Executor
from plugins.executors.make import make_executor
from plugins.executors.threads import Threads
from plugins.filters import select
from plugins.graph import Graph, Pair
from plugins.inventory import host_settings, read_secrets
from plugins.inventory.model import HostSettings, Role
from plugins.locks import MasterLock, local_lock
from plugins.login_name import owner_name
from plugins.output.console import make_console, make_processors, show_result
from plugins.prepare import prepare
from plugins.processors.report import check_report_path
from plugins.processors.running import Moment, Running
from plugins.results import HostResult, RunPlan, RunResult, StageResult, StageStatus
from plugins.scheduler import Outcome, Scheduler
from plugins.selection import Options, first_command, pairs_of, plan_of, rerun_command
from plugins.settings import ROOT, init, load_settings
from plugins.stages import Runbook

INTERRUPTED = 130
# Nornir logs task arguments, and tracebacks which may quote secrets; what it has to say is in the results.
logging.getLogger("nornir").addHandler(logging.NullHandler())
logging.getLogger("nornir").propagate = False


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
    if options.report is not None:
        check_report_path(options.report)
    owner = f"{owner_name()}@{socket.gethostname()} (process {os.getpid()}) since {datetime.now(UTC):%F %T} UTC"
    context = prepare(nornir, settings, options, new_run_id(), owner)
    selected = select(nornir, options.hosts, options.roles, options.expression)
    pairs = pairs_of(runbook, nornir, selected, options)
    _check_ready(runbook, nornir, context, pairs)
    hosts = [nornir.inventory.hosts[host] for host in {pair.host for pair in pairs}]
    read_secrets(hosts)
    check_files(hosts, context)
    plan = plan_of(runbook, nornir, context, selected, pairs)
    with ExitStack() as stack:
        if runbook.changes and not options.dry_run:
            stack.enter_context(local_lock(context.state_folder, context.owner))
        return _shown(runbook, nornir, context, plan, pairs, options)


def _check_ready(runbook: Runbook, nornir: Nornir, context: RunContext, pairs: list[Pair]) -> None:
    hosts: dict[str, list[HostSettings]] = {}
    for pair in pairs:
        hosts.setdefault(pair.stage, []).append(host_settings(nornir.inventory.hosts[pair.host]))
    for stage in runbook.stages:
        if here := hosts.get(stage.name):
            stage.ready(context, here)


def _shown(
    runbook: Runbook, nornir: Nornir, context: RunContext, plan: RunPlan, pairs: list[Pair], options: Options
) -> int:
    """Run the pairs with everything that watches a run, and show what it came to."""
    console = make_console()
    settings = context.settings
    watchers = make_processors(
        console,
        verbose=options.verbose,
        log_folder=settings.log_folder,
        keep_runs=settings.keep_logs,
        report=options.report,
    )
    running = Running()
    nornir.processors.extend([*watchers, running])
    try:
        for watcher in watchers:
            watcher.run_started(plan)
            for name, skipped in _windows(plan).items():
                watcher.stage_settled(name, skipped)
        result = _execute(runbook, nornir, context, plan, pairs, options, running, console)
        for watcher in watchers:
            watcher.run_completed(result)
    finally:
        for watcher in watchers:
            watcher.close()
    show_result(console, result, watchers, verbose=options.verbose)
    return result.exit_code


def _execute(
    runbook: Runbook,
    nornir: Nornir,
    context: RunContext,
    plan: RunPlan,
    pairs: list[Pair],
    options: Options,
    running: Running,
    console: Console,
) -> RunResult:
    started = datetime.now(UTC)
    roles = {name: host_settings(host).role for name, host in nornir.inventory.hosts.items()}
    graph = Graph(runbook.stages, roles, set(pairs))
    outcome = Outcome()

    def rerun(pair: Pair) -> str:
        return rerun_command(runbook, pair, options)

    def first(pair: Pair) -> str:
        return first_command(runbook, pair, options)

    attempts = Attempts(runbook, nornir, context, graph.outside, outcome.gathered.__getitem__, first)
    executor = make_executor(runbook, options, nornir, context, attempts)
    # The cluster's lock hangs on the master's connection, and is let go in good order before that is closed.
    masters = [name for name, role in roles.items() if role is Role.MASTER]
    scheduler = Scheduler(runbook, graph, nornir, context, executor, outcome, rerun, masters)
    lock: MasterLock | None = None
    code = 0
    try:
        # Side by side with taking the lock; whoever cannot be reached fails in its first stage.
        hosts = {pair.host for pair in pairs}
        for host in sorted(hosts, key=lambda name: name not in masters):  # the lock is waited for: its host is first
            executor.connect(host)
        if runbook.changes and not options.dry_run:
            lock = _lock_if_reachable(nornir, context, console)
        scheduler.run()
    except KeyboardInterrupt:
        code = INTERRUPTED
        context.stop.set()
    finally:
        moments = dict(running.hosts)
        if lock is not None:
            lock.release()
            if lock.taken:
                code = 3
                console.print(f"The cluster's lock was lost while the master was away. {lock.taken}")
        context.serving.close()
        _close_all(nornir)
        executor.close()
    if code:
        # Whoever ran the tasks may be gone, too.
        _tidy_up(runbook, graph, scheduler, Threads(attempts, nornir, context, context.settings.workers), console)
        _close_all(nornir)
    result = _result(runbook, plan, scheduler.outcome, started, moments if code else {})
    result.exit_code = code or int(any(host.status.bad for host in result.hosts.values()))
    return result


def _tidy_up(runbook: Runbook, graph: Graph, scheduler: Scheduler, executor: Executor, console: Console) -> None:
    """Run what is left of the stages that tidy up: what an interrupted run has put up must not stay."""
    tidy = {stage.name for stage in runbook.stages if stage.always}
    left = {pair for pair in graph.pairs if pair.stage in tidy and pair not in graph.outcome}
    if not left:
        return
    console.print("Interrupted; taking away what is there for a while only. Ctrl-C again leaves it there.")
    try:
        scheduler.run_only(left, executor)
    except KeyboardInterrupt:
        pass
    finally:
        executor.close()


def _lock_if_reachable(nornir: Nornir, context: RunContext, console: Console) -> MasterLock | None:
    """Take the master's lock; a master that is down leaves the local one, and fails by itself later."""
    try:
        return MasterLock(nornir, context)
    except UnreachableError as error:
        seen = f"the master is not reached: {error.step}: {error.seen}"
    except ScriptError as error:
        seen = error.seen
    console.print(f"The master's lock is not taken ({seen}); this machine's own lock is.")
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


def _windows(plan: RunPlan) -> dict[str, StageResult]:
    """Give the results of Windows hosts, where no stage is for them."""
    skipped = StageResult(plan.stages[0], StageStatus.SKIPPED, message="no stage of this run is for Windows hosts")
    return {name: skipped for name, role in plan.hosts.items() if role == Role.WINDOWS.value and name not in plan.work}


def _result(
    runbook: Runbook, plan: RunPlan, outcome: Outcome, started: datetime, running: dict[str, Moment]
) -> RunResult:
    hosts = {name: HostResult(name, role) for name, role in plan.hosts.items()}
    for stage in runbook.stages:
        for name, host in hosts.items():
            if (found := outcome.stages.get(Pair(stage.name, name))) is not None:
                host.stages.append(found)
                host.seconds += found.seconds
    words: dict[str, str] = {}
    for name, moment in running.items():
        told = moment.words(windows=plan.hosts.get(name) == Role.WINDOWS.value)
        words[name] = f"{moment.stage}: {told}"
        if name in hosts:  # else one that was only looked at, a master
            hosts[name].stages.append(StageResult(moment.stage, StageStatus.SKIPPED, message=f"interrupted: {told}"))
    for name, skipped in _windows(plan).items():
        hosts[name].stages.append(skipped)
    return RunResult(plan, started, datetime.now(UTC), 0, hosts, words, critical_path(runbook.stages, hosts))
