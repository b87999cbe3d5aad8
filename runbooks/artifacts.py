# ruff: noqa: PLC0415 -- --help answers without the inventory's modules
"""Downloads of an inventory: what they are, which bytes they have to be, and a folder that serves as a mirror."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plugins.command_options import DEFAULT_INVENTORY, Inventory
from plugins.errors import RunbookError, UsageError
from plugins.output.stream import steadily
from plugins.settings import ROOT

if TYPE_CHECKING:
    from plugins.artifacts.plan import Downloads
    from plugins.inventory.model import HostSettings

INTERRUPTED = 130

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 all well, 1 something is missing, 2 the command or inventory is wrong, 130 interrupted.",
)

MirrorOption = Annotated[
    str, typer.Option("--mirror", metavar="URL_OR_DIR", help="A mirror: a URL that the hosts reach, or a folder here.")
]


@app.command("list", epilog="Examples: `artifacts list`; `artifacts list -i ~/site-a --mirror /srv/mirror`.")
def list_(*, inventory: Inventory = DEFAULT_INVENTORY, mirror: MirrorOption = "") -> None:
    """Show every download that this inventory's hosts need, and whether it is pinned.

    Exit status 1: some cannot be had, and a bootstrap with this --mirror would not begin.
    """
    from plugins.artifacts.ready import missing

    downloads, hosts = _downloads(inventory, mirror)
    for artifact in downloads.artifacts:
        _say(f"{artifact.name} {artifact.version} -> {artifact.path or 'containerd'}")
        if artifact.reference:
            _say(f"  {'':13}  {_short(downloads.pins.digest(artifact)):12}  {artifact.reference}")
        for platform in artifact.platforms:
            where = artifact.source(platform) if platform in artifact.urls else f"MIRROR/{artifact.place(platform)}"
            _say(f"  {platform:13}  {_short(downloads.pins.of(artifact, platform)):12}  {where}")
    lines = missing(downloads, hosts)
    for line in lines:
        print(line, file=sys.stderr)
    raise typer.Exit(1 if lines else 0)


@app.command(
    epilog="Examples: `artifacts lock` reads upstream's checksum files; `artifacts lock --mirror /srv/mirror` pins "
    "what that mirror holds."
)
def lock(*, inventory: Inventory = DEFAULT_INVENTORY, mirror: MirrorOption = "") -> None:
    """Write the pins of the inventory's release into its releases/ folder. Pins of what is not found there stay."""
    from plugins.artifacts.lock import lock_mirror, lock_upstream, merged
    from plugins.artifacts.mirror import mirror_of
    from plugins.artifacts.pins import lock_file, save_pins
    from plugins.selection import lock_command

    (downloads, _), where = _downloads(inventory, mirror), mirror_of(mirror)
    found = lock_mirror(downloads.artifacts, where, _say) if where else lock_upstream(downloads.artifacts, _say)
    pins = merged(downloads.pins, found, downloads.artifacts)
    file = lock_file(pins.release, inventory)
    if found.files or found.images:
        save_pins(pins, file, lock_command(inventory) + (f" --mirror {mirror}" if mirror else ""))
        _say(f"{len(found.files) + len(found.images)} pins written to {file}")
    else:
        _say("nothing was found, and nothing written")
    for problem in found.problems:
        print(problem, file=sys.stderr)
    if found.problems or not (found.files or found.images):
        raise typer.Exit(1)


@app.command(epilog="Example: `artifacts fetch /srv/mirror`, and then `bootstrap --mirror /srv/mirror`.")
def fetch(
    folder: Annotated[Path, typer.Argument(help="The mirror's folder; made where it is missing.")],
    *,
    inventory: Inventory = DEFAULT_INVENTORY,
    platform: Annotated[
        list[str] | None,
        typer.Option("--platform", metavar="OS/ARCH", help="Only for this platform, as linux/amd64; may be repeated."),
    ] = None,
) -> None:
    """Download everything that is published as a plain file into a folder that serves as a mirror."""
    from plugins.artifacts.fetch import fetch_all

    downloads, _ = _downloads(inventory, "")
    done = fetch_all(downloads, folder.expanduser().absolute(), tuple(platform or ()), _say)
    for problem in done.problems:
        print(problem, file=sys.stderr)
    for place in done.missing:
        _say(f"to be put there by hand: {folder / place}")
    raise typer.Exit(1 if done.problems else 0)


def _downloads(inventory: Path, mirror: str) -> tuple[Downloads, list[HostSettings]]:
    """Give what the inventory's hosts need, and the hosts; says so and ends the command where that is nothing."""
    from plugins.artifacts.mirror import mirror_of
    from plugins.artifacts.pins import load_pins
    from plugins.artifacts.plan import Downloads
    from plugins.inventory import host_settings
    from plugins.inventory.model import ClusterSettings
    from plugins.releases import SHIPPED, load_release
    from plugins.selection import lock_command
    from plugins.settings import init, load_settings

    nornir = init(inventory, load_settings(ROOT / "config.yaml"))
    cluster: ClusterSettings = nornir.inventory.defaults.data["cluster"]
    release = load_release(cluster.release, inventory)
    if not cluster.kubernetes:
        _say(f"nothing is downloaded: {cluster.name} is an overlay alone (kubernetes: false in defaults.yaml)")
        raise typer.Exit
    hosts = [host_settings(host) for host in nornir.inventory.hosts.values()]
    roles = {host.role for host in hosts}
    needed = [each for each in release.artifacts if not roles.isdisjoint(each.roles)]
    pins = load_pins(release.name, inventory, SHIPPED)
    return Downloads(needed, pins, mirror_of(mirror), lock_command(inventory)), hosts


def _short(pin: str) -> str:
    return pin.removeprefix("sha256:")[:12] or "-"


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return steadily(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(arguments, standalone_mode=True, prog_name="python -m runbooks.artifacts")
    except RunbookError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except SystemExit as end:  # typer makes one of Ctrl-C, without a word
        if end.code != INTERRUPTED:
            raise
        command = "".join((sys.argv[1:] if arguments is None else arguments)[:1])
        print(f"`{command}` was interrupted. It is safe to run it again: what is there is kept.", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
