# ruff: noqa: PLC0415 -- --help answers without the inventory's modules
"""The way into the cluster: `python -m runbooks.kubeconfig` prints it, or writes it into a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from plugins.command_options import DEFAULT_INVENTORY, Inventory
from plugins.errors import RunbookError, UsageError
from plugins.output.stream import steadily
from plugins.settings import ROOT

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

EXAMPLES = """\b
Examples:
  python -m runbooks.kubeconfig --output ~/.kube/site-a
  kubectl --kubeconfig ~/.kube/site-a get nodes
  kubectl --kubeconfig <(python -m runbooks.kubeconfig -i ~/site-a) get nodes

\b
Exit status: 0 all well, 1 there is none yet, 2 the command or inventory is wrong."""


@app.command(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
def kubeconfig(
    *,
    inventory: Inventory = DEFAULT_INVENTORY,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it there, with mode 0600; -: print it.")
    ] = None,
) -> None:
    """Print the administrator's kubeconfig, which the stage `access` of the bootstrap has made.

    It holds a private key: whoever has it owns the cluster until the certificate ends. Without the binding
    ovn-runbooks:administrators, which the next bootstrap makes again, it opens nothing.
    """
    from plugins.inventory.model import ClusterSettings
    from plugins.kubeconfig import AGAIN, administrator_ends
    from plugins.pki.disk import read_private
    from plugins.pki.issue import RENEW_DAYS
    from plugins.settings import init, load_settings
    from plugins.state_files import KUBECONFIG

    settings = load_settings(ROOT / "config.yaml")
    cluster: ClusterSettings = init(inventory, settings).inventory.defaults.data["cluster"]
    file = settings.state_folder / cluster.name / KUBECONFIG
    if not cluster.kubernetes:
        raise UsageError(f"the cluster {cluster.name} is an overlay alone (kubernetes: false in defaults.yaml)")
    data = read_private(file)
    if data is None:
        print(f"There is no {file} yet: run the bootstrap, or {AGAIN}", file=sys.stderr)
        raise typer.Exit(1)
    ends = administrator_ends(file)
    if ends and ends - datetime.now(UTC) < timedelta(RENEW_DAYS):
        print(f"Its certificate ends on {ends:%Y-%m-%d}: {AGAIN} makes another one", file=sys.stderr)
    if output is None or str(output) == "-":
        sys.stdout.write(data.decode())
        return
    target = output.expanduser()
    _write(target, data)
    print(f"written to {target}; next: kubectl --kubeconfig {target} get nodes", file=sys.stderr)


def _write(target: Path, data: bytes) -> None:
    """Write the file, behind a link the one that it leads to, with mode 0600; a device or pipe stays what it is."""
    from plugins.paths import check_output, is_new_or_file
    from plugins.pki.disk import write_private

    check_output("--output", target)
    if is_new_or_file(target):
        write_private(target.resolve(), data)
        return
    try:
        with target.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"--output {target}: cannot be written ({error.strerror})") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return steadily(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(arguments, standalone_mode=True, prog_name="python -m runbooks.kubeconfig")
    except RunbookError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
