"""What a worker elsewhere needs to know of a run, in a folder that it finds by the run's id.

Only names travel to workers; the folder is beside the run's logs, 0700, and goes with the run. There are no secrets
in it: a worker fetches those itself.
"""

from __future__ import annotations

import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

from plugins.gathered import Gathered
from plugins.selection import Options
from plugins.settings import Settings
from plugins.stages import Runbook
from plugins.steps import StepsResult

_FOLDER = ".workers"


@dataclass(frozen=True)
class Ticket:
    """One run: what it runs, as the command line chose it, and for whom."""

    run_id: str
    runbook: Runbook
    options: Options
    owner: str


def folder_of(settings: Settings, run_id: str) -> Path:
    """Give a run's folder."""
    return settings.log_folder / run_id / _FOLDER


def write_ticket(settings: Settings, ticket: Ticket) -> None:
    """Make the run's folder with its ticket."""
    folder = folder_of(settings, ticket.run_id)
    folder.mkdir(mode=0o700, parents=True)
    (folder / "ticket").write_bytes(pickle.dumps(ticket))


def read_ticket(settings: Settings, run_id: str) -> Ticket:
    """Read a run's ticket; OSError when this machine has no such run."""
    # A folder that only this user can write to, beside the settings and the code itself.
    found = pickle.loads((folder_of(settings, run_id) / "ticket").read_bytes())  # noqa: S301
    if not isinstance(found, Ticket):
        raise TypeError(f"{run_id}: not a ticket")
    return found


def write_gathered(settings: Settings, run_id: str, stage: str, gathered: Gathered) -> None:
    """Leave what a stage found out on all hosts to the workers; who reads meanwhile has what was there before."""
    folder = folder_of(settings, run_id)
    fresh = folder / f".{stage}"
    fresh.write_bytes(pickle.dumps({name: result.facts for name, result in gathered.items()}))
    fresh.replace(folder / f"{stage}-{len(gathered)}.facts")


def gathered_count(settings: Settings, run_id: str, stage: str) -> int:
    """Say of how many hosts there is something to read."""
    files = folder_of(settings, run_id).glob(f"{stage}-*.facts")
    counts = (file.stem.removeprefix(f"{stage}-") for file in files)
    return max((int(count) for count in counts if count.isdecimal()), default=0)


def read_gathered(settings: Settings, run_id: str, stage: str) -> Gathered:
    """Read what a stage found out on all hosts; nothing where it was not run."""
    if not (count := gathered_count(settings, run_id, stage)):
        return Gathered()
    file = folder_of(settings, run_id) / f"{stage}-{count}.facts"
    facts = pickle.loads(file.read_bytes())  # noqa: S301  # see read_ticket
    return Gathered({name: StepsResult(None, facts=each) for name, each in facts.items()})


def remove_ticket(settings: Settings, run_id: str) -> None:
    """Take the run's folder away."""
    shutil.rmtree(folder_of(settings, run_id), ignore_errors=True)
