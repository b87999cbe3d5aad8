"""What every task of one run may know about the run itself."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from nornir.core import Nornir
from nornir.core.configuration import Config
from nornir.core.task import Task

from plugins.artifacts.plan import Downloads
from plugins.artifacts.serve import Serving
from plugins.inventory.model import ClusterSettings
from plugins.releases import Release
from plugins.settings import Settings

_KEY = "run_context"


class RebootPolicy(StrEnum):
    """When hosts are rebooted: `--reboot`."""

    NEEDED = "needed"
    ALWAYS = "always"
    NEVER = "never"


def new_run_id() -> str:
    """Make an id that sorts by time: 20261123T051409Z-1f3a."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class RunContext:
    """One run: who it is, what it may do, and where it keeps things."""

    settings: Settings
    cluster: ClusterSettings
    release: Release
    downloads: Downloads = field(default_factory=Downloads)
    dry_run: bool = False
    reboot: RebootPolicy = RebootPolicy.NEEDED
    run_id: str = field(default_factory=new_run_id)
    owner: str = ""
    """Shown to whoever has to wait for this run: user@machine, run id."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set on Ctrl-C: whoever waits for something gives up."""
    serving: Serving = field(default_factory=Serving)
    """What gives hosts files of a mirror's folder; whoever ends the run closes it."""

    @property
    def state_folder(self) -> Path:
        """Where this cluster's keys, host keys and locks are kept on the operator's machine."""
        return self.settings.state_folder / self.cluster.name


def attach(nornir: Nornir, context: RunContext) -> None:
    """Make `context` the one that tasks run with `nornir` see."""
    nornir.config.user_defined[_KEY] = context


def context_of(source: Task | Config) -> RunContext:
    """Give the context of a task's run."""
    config = source.nornir.config if isinstance(source, Task) else source
    context = config.user_defined[_KEY]
    if not isinstance(context, RunContext):
        raise TypeError("no run context: the runner attaches one before it starts tasks")
    return context
