"""A control group for each host, in every hierarchy of this machine.

It keeps hosts apart as machines are: each sees its own tree only. And it names every process of a host, so that
none can be left behind. The groups are made below our own, which is what a service manager delegates.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

HOST = "host"
KEEPER = "keeper"
"""In the second version of control groups no group has both processes and groups that are limited."""


def own(groups: str, mounts: str) -> list[Path]:
    """Our own group in every mounted hierarchy, out of /proc/self/cgroup and /proc/self/mountinfo."""
    found = []
    by_controllers = {}
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        by_controllers[controllers] = path
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, point = before.split(" ")[3:5]
        for controllers, path in by_controllers.items():
            unified = kind == "cgroup2" and controllers == ""
            classic = kind == "cgroup" and controllers != "" and set(controllers.split(",")) <= set(options.split(","))
            if unified or classic:
                relative = path.removeprefix(root.rstrip("/")).lstrip("/")
                found.append(Path(point) / relative)
    return list(dict.fromkeys(found))


def make(name: str) -> list[Path]:
    """Make the group `name` below our own in every hierarchy; returns their folders."""
    parents = own(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
    made = []
    for parent in parents:
        # A hierarchy that only a service manager may change is left to it.
        with contextlib.suppress(PermissionError):
            for group in (parent / name, parent / name / KEEPER, parent / name / HOST):
                group.mkdir(exist_ok=True)
                _inherit_processors(group)
            made.append(parent / name)
    return made


def enter(groups: list[Path], leaf: str) -> None:
    """Move this process into a leaf of its groups; `..` is where it came from."""
    for group in groups:
        (group / leaf / "cgroup.procs").write_text(f"{os.getpid()}\n")


def delegate(groups: list[Path]) -> None:
    """Hand down all controllers where they have to be, except from the machine's root group: that is not ours."""
    for group in groups:
        for level in (group.parent, group):
            with contextlib.suppress(OSError):
                (level / "cgroup.type").stat()  # the root group has none
                for controller in (level / "cgroup.controllers").read_text().split():
                    (level / "cgroup.subtree_control").write_text(f"+{controller}\n")


def processes(groups: list[Path]) -> set[int]:
    """Every process in the groups and below."""
    found: set[int] = set()
    for group in groups:
        for file in group.glob("**/cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(map(int, file.read_text().split()))
    return found - {0}


def kill(groups: list[Path], seconds: float = 10.0) -> None:
    """Kill every process in the groups, until there is none."""
    until = time.monotonic() + seconds
    while left := processes(groups) - {os.getpid()}:
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if time.monotonic() > until:
            raise TimeoutError(f"processes that do not end: {sorted(left)}")
        time.sleep(0.05)


def remove(groups: list[Path], seconds: float = 5.0) -> None:
    """Remove the groups and all below them; they must be empty of processes."""
    until = time.monotonic() + seconds
    while left := [folder for group in groups for folder in _deepest_first(group)]:
        for folder in left:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if time.monotonic() > until:
            raise TimeoutError(f"control groups that cannot be removed: {left[-1]}")


def _deepest_first(group: Path) -> list[Path]:
    return [Path(folder) for folder, _, _ in os.walk(group, topdown=False)]


def _inherit_processors(group: Path) -> None:
    # The cpuset controller's first version takes no process before it is told which processors it has.
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = group / name
        with contextlib.suppress(OSError):
            if not file.read_text().strip():
                file.write_text((group.parent / name).read_text())
