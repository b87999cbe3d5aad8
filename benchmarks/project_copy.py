"""A copy of the project whose state and logs stay in a folder of its own, with the benchmark's template in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
_PARTS = ("benchmarks", "inventory/releases", "plugins", "runbooks", "tasks", "templates")


def copy_project(folder: Path, runner: dict[str, Any] | None = None) -> Path:
    """Make the copy in `folder`/project, and give its path: the code as it is now, with other settings.

    `runner` is what its config.yaml says of where tasks run, if that is another place.
    """
    copy = folder / "project"
    copy.mkdir(parents=True)
    for part in _PARTS:
        # Compiled modules come along with their sources' times, so that the first run is like any other.
        shutil.copytree(ROOT / part, copy / part)
    shutil.copy2(ROOT / "benchmarks" / "forty_looks.sh.j2", copy / "templates" / "linux")
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config["user_defined"] |= {"state_folder": str(folder / "state"), "log_folder": str(folder / "logs")}
    config["runner"] = runner or config["runner"]
    (copy / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return copy


_OTHERS = ("OVN_RUNBOOKS", "XDG_", "PYTHON")


def environment() -> dict[str, str]:
    """Give this process's variables without those that would lead a run elsewhere, or keep compiled modules away."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
