"""Which executor a run has: what config.yaml says under `runner`."""

from __future__ import annotations

import os

from nornir.core import Nornir

from plugins.attempts import Attempts
from plugins.context import RunContext
from plugins.errors import UsageError
from plugins.executors.base import Executor
from plugins.executors.threads import Threads
from plugins.selection import Options
from plugins.stages import Runbook


def make_executor(
    runbook: Runbook, options: Options, nornir: Nornir, context: RunContext, attempts: Attempts
) -> Executor:
    """Make it; UsageError where it cannot be had."""
    settings = context.settings
    threads = options.workers or settings.workers
    if settings.runner.plugin == "threaded":
        return Threads(attempts, nornir, context, threads)
    # Imported only where they are wanted.
    from plugins.executors.remote import Crew, Remote  # noqa: PLC0415
    from plugins.executors.ticket import Ticket, remove_ticket, write_ticket  # noqa: PLC0415

    crew: Crew
    write_ticket(settings, Ticket(context.run_id, runbook, options, context.owner))
    try:
        if settings.runner.plugin == "processes":
            from plugins.executors.processes import Processes  # noqa: PLC0415

            processes = settings.runner.options.processes or os.cpu_count() or 1
            crew = Processes(context.run_id, processes, threads)
        else:
            try:
                from plugins.executors.dask import Dask  # noqa: PLC0415
            except ImportError:
                raise UsageError("config.yaml: runner.plugin: dask needs `pip install distributed`") from None
            crew = Dask(context.run_id, settings.runner.options.address or "")
    except BaseException:
        remove_ticket(settings, context.run_id)
        raise
    return Remote(crew, runbook, nornir, context)
