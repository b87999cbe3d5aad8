# ruff: noqa: PLC0415 -- --help answers without the simulated hosts' modules
"""Simulated hosts on this machine, without root: `python -m runbooks.simulate [OPTIONS] [-- COMMAND]`."""

from __future__ import annotations

import ctypes
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plugins.errors import UsageError

if TYPE_CHECKING:
    from plugins.simulate.cluster import SimulatedCluster

INTERRUPTED = 130
SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
TICK = 0.1  # seconds between looks at what was heard
PATIENCE = 20.0  # seconds that an interrupted COMMAND has to end by itself
WHAT_IT_PROVES = (
    "They prove transport, scheduler, parser, reports and faults, and nothing about the shell: "
    "verbs are understood, no shell runs anything."
)
EXAMPLES = """Examples:

  python -m runbooks.simulate --count 30 -- python -m runbooks.bootstrap --report r.json

  python -m runbooks.simulate --fault linux-1:install:fail -- python -m runbooks.bootstrap

  python -m runbooks.simulate --fault 'linux-*:slow:seconds=0.5' --fault linux-2:no-return

docs/simulated-hosts.md has every fault."""


class Signals:
    """Notes what would end this process, so that it happens between two things and not in the middle of one."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: self.heard.append(number))


class Login(StrEnum):
    """How the inventory logs in."""

    KEY = "key"
    PASSWORD = "password"  # noqa: S105  # a word, not a secret


class HostKeys(StrEnum):
    """What the inventory says about host keys."""

    STRICT = "strict"
    ACCEPT_NEW = "accept-new"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@app.command(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
def simulate(
    command: Annotated[list[str] | None, typer.Argument(help="Run this against the hosts, then stop.")] = None,
    count: Annotated[int, typer.Option(help="Hosts with an SSH server: one master, the rest linux.")] = 3,
    windows: Annotated[int, typer.Option(min=0, help="Windows hosts more, with a WinRM server.")] = 0,
    fault: Annotated[list[str] | None, typer.Option(help="HOST[:WHERE]:KIND[:OPTION=VALUE,...]; repeatable.")] = None,
    user: Annotated[str, typer.Option(help="User that the inventory logs in as; root needs no sudo.")] = "operator",
    login: Annotated[Login, typer.Option(help="How the inventory logs in.")] = Login.KEY,
    sudo_password: Annotated[bool, typer.Option("--sudo-password", help="Have sudo ask for a password.")] = False,
    host_keys: Annotated[HostKeys, typer.Option(help="What the inventory says of host keys.")] = HostKeys.STRICT,
    folder: Annotated[Path | None, typer.Option(help="Keep inventory and state here; none: a temporary one.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving after COMMAND, until Ctrl-C.")] = False,
) -> None:
    """Serve simulated hosts over real SSH and WinRM on loopback addresses, and run COMMAND against them.

    COMMAND finds their inventory in OVN_RUNBOOKS_INVENTORY, which every runbook reads; its exit status is passed on.
    """
    from plugins.simulate.cluster import Options, SimulatedCluster

    options = Options(
        count=count,
        windows=windows,
        faults=tuple(fault or ()),
        user=user,
        login=login.value,
        sudo_password=sudo_password,
        host_keys=host_keys.value,
    )
    signals = Signals()
    try:
        with SimulatedCluster(options, folder) as cluster:
            _say(f"{count + windows} simulated hosts are up; inventory: {cluster.inventory}", WHAT_IT_PROVES)
            status = _run(command, cluster, signals) if command else 0
            if keep or not command:
                _serve(cluster, signals)
    except UsageError as error:
        _say(str(error))
        status = 2
    raise typer.Exit(status)


def _say(*lines: str) -> None:
    """Talk on standard error: standard output is COMMAND's."""
    print(*lines, sep="\n", file=sys.stderr, flush=True)


def _serve(cluster: SimulatedCluster, signals: Signals) -> None:
    """Wait for Ctrl-C."""
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in cluster.environment.items())
    _say("In another terminal:", f"  export {exports}", "  python -m runbooks.bootstrap", "Ctrl-C ends them.")
    while not signals.heard:
        time.sleep(TICK)


def _run(command: list[str], cluster: SimulatedCluster, signals: Signals) -> int:
    """Run COMMAND; give its exit status, as a shell would."""
    if signals.heard:
        return INTERRUPTED
    # `python` is this one, as in every command that the runbooks show.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    try:
        process = subprocess.Popen(
            command,
            env=os.environ | cluster.environment | {"PATH": path},
            preexec_fn=_ended_with(os.getpid()),  # noqa: PLW1509  # this process has no threads
        )
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run: {error.strerror}") from None
    status = _wait(process, signals)
    return status if status >= 0 else 128 - status


def _ended_with(parent: int) -> Callable[[], None]:
    """Have COMMAND ended (SIGTERM) with this process, however this one goes; it runs between fork and exec."""
    prctl = ctypes.CDLL(None).prctl

    def ended_with_parent() -> None:
        prctl(SET_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:  # it went before that was said
            os._exit(1)

    return ended_with_parent


def _wait(process: subprocess.Popen[bytes], signals: Signals) -> int:
    """Wait for COMMAND. It hears Ctrl-C itself, is told of other signals, and is killed if it does not end then."""
    known, until = 0, math.inf
    while True:
        try:
            return process.wait(TICK)
        except subprocess.TimeoutExpired:
            pass
        if (heard := len(signals.heard)) > known:
            if known:
                process.kill()
            elif signals.heard[0] != signal.SIGINT:
                process.terminate()
            known, until = heard, min(until, time.monotonic() + PATIENCE)
        if time.monotonic() > until:
            process.kill()


def main() -> None:
    """Run the command."""
    app(prog_name="python -m runbooks.simulate")


if __name__ == "__main__":
    main()
