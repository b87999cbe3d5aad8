"""The command line that all runbooks share; a runbook's own options come before it."""

from __future__ import annotations

import atexit
import gc
import inspect
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from plugins.command_options import DEFAULT_INVENTORY, Inventory
from plugins.context import RebootPolicy

gc.set_threshold(20_000)
INTERRUPTED = 130
Reboot = Annotated[
    RebootPolicy, typer.Option("--reboot", help="When hosts are rebooted; needed leaves up what has joined.")
]


def common(
    inventory: Inventory = DEFAULT_INVENTORY,
    host: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this host; may be repeated.")] = None,
    role: Annotated[
        list[str] | None, typer.Option(metavar="ROLE", help="Only hosts of this role; may be repeated.")
    ] = None,
    filter_: Annotated[
        str,
        typer.Option(
            "--filter", metavar="EXPR", help="Only hosts that fit: 'role=linux,name=rack1-*', 'label.site!=a'."
        ),
    ] = "",
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STAGE", help="Only this stage; may be repeated. An unknown one, as --only '?', lists them all."
        ),
    ] = None,
    start: Annotated[str, typer.Option("--from", metavar="STAGE", help="This stage and those after it.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look, show what would change, write nothing.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, metavar="N", help="Hosts worked on at the same time.")] = None,
    mirror: Annotated[
        str,
        typer.Option(
            metavar="URL_OR_DIR", help="Take downloads from a mirror: a URL that the hosts reach, or a folder here."
        ),
    ] = "",
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JSON report to this file.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show every step and every host.")] = False,
) -> Any:
    """Collect the options that all runbooks share."""
    from plugins.selection import Options  # noqa: PLC0415  # --help answers without it

    return Options(
        inventory=inventory,
        hosts=tuple(host or ()),
        roles=tuple(role or ()),
        expression=filter_,
        only=tuple(only or ()),
        start=start,
        dry_run=dry_run,
        workers=workers,
        mirror=mirror,
        report=report,
        verbose=verbose,
    )


def application(function: Callable[..., int], *, epilog: str = "", without: tuple[str, ...] = ()) -> typer.Typer:
    """Make a command of `function(options, ...)`, which returns the exit status: its own parameters, then the shared.

    `without` names shared options that make no sense for it.
    """
    own = [each for each in inspect.signature(function).parameters.values() if each.name != "options"]
    shared = [each for each in inspect.signature(common).parameters.values() if each.name not in without]
    # Called as a plain function, an option that is left out must not come as typer's own description of it.
    defaults = {each.name: each.default for each in inspect.signature(common).parameters.values()}
    hints = get_type_hints(common, include_extras=True) | get_type_hints(function, include_extras=True)

    def command(**given: Any) -> None:
        chosen = {each.name: given.pop(each.name) for each in shared}
        options = common(**(defaults | chosen))
        try:
            code = function(options=options, **given)
        except KeyboardInterrupt:  # typer would end without a word
            print(f"`{function.__name__}` was interrupted. It is safe to run it again.", file=sys.stderr)
            code = INTERRUPTED
        raise typer.Exit(code)

    parameters = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[each.name]) for each in (*own, *shared)
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: hints[each.name] for each in parameters}
    command.__doc__ = function.__doc__
    # Plain help: rich's own rendering of it takes longer to import than all the rest.
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    # "\b" keeps a paragraph's lines as they are.
    paragraphs = "\n\n".join(f"\b\n{paragraph}" for paragraph in epilog.strip().split("\n\n"))
    app.command(epilog=paragraphs, context_settings={"help_option_names": ["-h", "--help"]})(command)
    return app


def main(app: typer.Typer, name: str) -> None:
    """Run the command: SIGTERM is an interruption like Ctrl-C, and ends in exit status 130."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    # Python would take a thousand modules apart at exit, which takes a fifth of a short run and frees nothing.
    atexit.register(gc.freeze)
    try:
        app(prog_name=f"python -m runbooks.{name}", standalone_mode=True)
    except KeyboardInterrupt:
        print("Interrupted before any host was touched.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            # A thread that still waits for a connection to come up must not hold up who pressed Ctrl-C.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise
