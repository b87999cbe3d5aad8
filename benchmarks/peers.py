"""Other tools, in a virtual environment that the benchmark makes, as options and sides of a comparison."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.local_hosts import LocalHost
from benchmarks.tools import Peers, ansible, pyinfra
from benchmarks.turns import Side
from plugins.errors import RunbookError

PACKAGES = ("ansible-core", "mitogen", "pyinfra")
NAMES = {"mitogen": "Ansible + mitogen", "pyinfra": "pyinfra", "ansible": "Ansible"}


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which ones."""
    parser.add_argument("--peers", nargs="*", default=[], choices=[*NAMES], help="other tools to measure (none)")
    parser.add_argument(
        "--rounds", type=_rounds, nargs="*", default=[], metavar="NAME=N", help="fewer measurements of a slow one"
    )
    parser.add_argument("--peers-in", type=Path, metavar="DIR", help="where to install them (a temporary folder)")


def _rounds(text: str) -> tuple[str, int]:
    """Read NAME=N; argparse says what the words of an ArgumentTypeError are about."""
    name, _, number = text.partition("=")
    if name not in NAMES or not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text}: write NAME=N, with one of {', '.join(NAMES)} and a number from 1")
    return NAMES[name], int(number)


@contextlib.contextmanager
def wanted(given: argparse.Namespace) -> Iterator[Peers]:
    """Install what the options ask for, for as long as the context lasts."""
    with TemporaryDirectory(prefix="ovn-runbooks-peers-") as temporary:
        folder = given.peers_in or Path(temporary)
        yield install(folder) if given.peers else Peers(folder, {})


def sides(peers: Peers, hosts: Sequence[LocalHost], names: Sequence[str]) -> dict[str, Side]:
    """Make the sides of the tools of these names."""
    makers = {
        "mitogen": lambda: ansible(peers, hosts, mitogen=True),
        "pyinfra": lambda: pyinfra(peers, hosts),
        "ansible": lambda: ansible(peers, hosts),
    }
    return {NAMES[name]: makers[name]() for name in names}


def install(folder: Path) -> Peers:
    """Install the newest that this Python can have into `folder`, unless they are there; RunbookError."""
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        venv.create(folder, with_pip=True)
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RunbookError(f"pip cannot install {', '.join(PACKAGES)}:\n{done.stderr}")
        (folder / "installed").touch()
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    )
    known = {each["name"]: each["version"] for each in json.loads(listed.stdout)}
    return Peers(folder, {name: known[name] for name in PACKAGES})
