# ruff: noqa: PLC0415 -- --help answers without the lab's modules
"""The lab: a real cluster's worth of hosts on this machine, made and taken away by one command."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plugins.errors import LockedError, RunbookError, UsageError

if TYPE_CHECKING:
    from plugins.lab import HostState

SIMULATED = "python -m runbooks.simulate --count 3 -- python -m runbooks.bootstrap"

WHAT_WINDOWS_PROVES = (
    "Its Windows hosts are simulated: the verbs of scripts are understood, and no PowerShell and no Windows runs. "
    "Their node objects, certificates, tunnels and packets are real (docs/lab.md)."
)

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Needs root on Debian or Ubuntu. Elsewhere: {SIMULATED}",
)

Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        envvar="OVN_RUNBOOKS_LAB",
        help="Where the lab keeps its things [/var/lib/ovn-runbooks/lab].",
        show_envvar=True,
    ),
]


@app.command(
    epilog="Examples: `lab up`; `lab up --count 4`; `lab up --windows 1`; `lab up --fresh` for bare hosts again; "
    "`lab up --sudo-password`."
)
def up(
    *,
    folder: Folder = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", help="Workers beside the master [as it is, else 2].")
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option("--windows", metavar="N", help="Simulated Windows hosts beside them [as it is, else 0]."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make every host bare again.")] = False,
    sudo_password: Annotated[
        bool | None,
        typer.Option(
            "--sudo-password/--no-sudo-password",
            help="sudo asks for a password, kept in a file of the lab [as it is, else no].",
        ),
    ] = None,
    overlay_only: Annotated[
        bool | None,
        typer.Option(
            "--overlay-only/--with-kubernetes",
            help="The inventory asks for the overlay alone, without Kubernetes [as it is, else with it].",
        ),
    ] = None,
    inventory: Annotated[
        Path | None,
        typer.Option("--inventory", metavar="DIR", help="Where the lab's inventory is written [inventory/lab]."),
    ] = None,
    network: Annotated[
        str | None, typer.Option("--network", metavar="CIDR", help="The lab's network [10.142.0.0/20].")
    ] = None,
    bridge: Annotated[str | None, typer.Option("--bridge", metavar="NAME", help="The lab's bridge [labbr0].")] = None,
    mirror: Annotated[
        str | None, typer.Option("--mirror", metavar="URL", help="Package mirror [that of this machine's apt].")
    ] = None,
) -> None:
    """Make the lab: a master and workers that answer on SSH, or WinRM. Mends what is there; twice is fine."""
    from plugins.lab import LabOptions, lab

    try:
        subnet = ipaddress.IPv4Network(network) if network else None
    except ValueError as error:
        raise UsageError(f"--network {network}: {error}") from error
    options = LabOptions(
        inventory=inventory.resolve() if inventory else None,
        workers=count,
        windows=windows,
        sudo_password=sudo_password,
        overlay_only=overlay_only,
        fresh=fresh,
        network=subnet,
        bridge=bridge,
        mirror=mirror,
        folder=_folder(folder),
    )
    with _interruptible():
        state = lab.up(options, _say)
    _say(f"the lab is up: {len(state.hosts)} hosts; inventory: {state.inventory}")
    if state.windows:
        _say(WHAT_WINDOWS_PROVES)
    _say(f"next: python -m runbooks.bootstrap -i {_short(state.inventory)}")


@app.command(epilog="Examples: `lab down`; `lab down --purge` to delete the cached image too.")
def down(
    *,
    folder: Folder = None,
    purge: Annotated[bool, typer.Option("--purge", help="Delete the cached image and the lab folder too.")] = False,
) -> None:
    """Take the lab away and leave nothing behind, whatever state it is in."""
    from plugins.lab import lab

    with _interruptible():
        lab.down(_folder(folder), purge=purge, say=_say)


@app.command(epilog="Exit status: 0 when every host is up, 1 otherwise.")
def status(*, folder: Folder = None) -> None:
    """Show each host of the lab."""
    from plugins.lab import lab

    states = lab.status(_folder(folder))
    if not states:
        _say("no lab here; `python -m runbooks.lab up` makes one")
        raise typer.Exit(1)
    _show(states)
    raise typer.Exit(0 if all(state.up for state in states) else 1)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C says what can be done next: typer would end without a word."""
    try:
        yield
    except KeyboardInterrupt:
        print("Interrupted. `lab up` goes on from here; `lab down` takes everything away.", file=sys.stderr)
        raise typer.Exit(130) from None


def _show(states: list[HostState]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "role", "address", "state", "since", "login", "boots", box=None)
    for state in states:
        failed = f" ({', '.join(state.failed)})" if state.failed else ""
        row = (
            state.host.name,
            state.host.role,
            str(state.host.address),
            f"{state.power}{failed}",
            f"{state.since.astimezone():%Y-%m-%d %H:%M:%S}" if state.since else "-",
            {True: "winrm" if state.host.windows else "ssh", False: "no answer", None: "-"}[state.answers],
            str(state.boots),
        )
        # What a host says is text, not markup.
        table.add_row(*(Text(cell) for cell in row), style="green" if state.up else "red")
    Console().print(table)


def _folder(given: Path | None) -> Path:
    from plugins.lab.options import default_folder

    return given.resolve() if given else default_folder()


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Run the command line; returns the exit status."""
    try:
        app(standalone_mode=True, prog_name="python -m runbooks.lab")
    except OSError as error:
        print(f"{error.filename or 'lab'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except RunbookError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 3 if isinstance(error, LockedError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
