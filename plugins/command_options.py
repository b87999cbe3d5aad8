"""Options of the command line that more than one command has. Imports nothing that --help does not need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plugins.settings import ROOT

DEFAULT_INVENTORY = ROOT / "inventory"
Inventory = Annotated[
    Path,
    typer.Option(
        "-i",
        "--inventory",
        metavar="DIR",
        envvar="OVN_RUNBOOKS_INVENTORY",
        show_default="inventory/",
        help="Folder with hosts.yaml and the rest.",
    ),
]
