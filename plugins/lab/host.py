"""One host's folder: what it is started from, how it runs now, and its bare disk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from plugins.lab import cgroups
from plugins.lab.lock import is_held

CONTAINER_FOLDERS = ("/var/lib/containerd", "/var/lib/kubelet")
"""Folders of a host that lie on the machine's own file system: an overlay cannot stand on another one."""


@dataclass(frozen=True)
class HostFolder:
    """hosts/NAME in the lab folder."""

    path: Path

    @property
    def name(self) -> str:
        """The host's name."""
        return self.path.name

    @property
    def lock(self) -> Path:
        """Held by the host's supervisor for as long as it lives."""
        return self.path / "supervisor.pid"

    @property
    def console(self) -> Path:
        """What the host's console showed."""
        return self.path / "console.log"

    @property
    def root(self) -> Path:
        """Where the supervisor mounts the disk; empty to everybody else."""
        return self.path / "root"

    @property
    def changes(self) -> Path:
        """Every file by which the host differs from its image."""
        return self.path / "disk" / "upper"

    @property
    def windows_state(self) -> Path:
        """A simulated Windows host's disk: all that it is, as one JSON file of mode 0600."""
        return self.path / "disk" / "windows.json"

    @property
    def container_folders(self) -> dict[str, Path]:
        """Where each of CONTAINER_FOLDERS is on the machine: beside the changes, and gone with the disk."""
        return {place: self.path / "disk" / "containers" / Path(place).name for place in CONTAINER_FOLDERS}

    def is_supervised(self) -> bool:
        """Whether a supervisor looks after the host now."""
        return is_held(self.lock)

    @property
    def has_disk(self) -> bool:
        """Whether there is a disk to start from, and its image."""
        spec = self.read_spec()
        if spec is None:
            return False
        there = self.windows_state.is_file() if spec.windows else self.changes.is_dir()
        return there and all(Path(layer).is_dir() for layer in spec.layers)

    def read_spec(self) -> Spec | None:
        """What the host is started from; None before it is made."""
        content = _read(self.path / "spec.json")
        return Spec(**{**content, "layers": tuple(content["layers"])}) if content else None

    def write_spec(self, spec: Spec) -> None:
        """Say what the host is started from."""
        write_private(self.path / "spec.json", json.dumps(asdict(spec), indent=1))

    def read_run(self) -> Run:
        """How the host runs, or ran last."""
        content = _read(self.path / "run.json")
        return Run(**{**content, "groups": tuple(content["groups"])}) if content else Run()

    def write_run(self, run: Run) -> None:
        """Say how the host runs."""
        write_private(self.path / "run.json", json.dumps(asdict(run), indent=1))

    def clear_disk(self) -> None:
        """Throw the disk away; the host must not run."""
        for part in (self.path / "disk", self.console, self.path / "console.log.1"):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(part) if part.is_dir() else part.unlink()

    def kill(self) -> None:
        """End every process of the host at once, its supervisor too, and remove its control groups."""
        groups = [Path(group) for group in self.read_run().groups]
        cgroups.kill(groups)
        cgroups.remove(groups)


@dataclass(frozen=True)
class Spec:
    """What a host is started from.

    `layers`: folders, topmost first. `unit`: its systemd unit, where systemd runs the machine. `modules`: whether
    it gets to see the machine's kernel modules. `windows`: whether it is a simulated Windows host, which stands on no
    layers; `address` and `gateway` are what it then has (a container has them on its disk).
    """

    name: str
    number: int
    bridge: str
    layers: tuple[str, ...]
    unit: str = ""
    modules: bool = False
    windows: bool = False
    address: str = ""
    gateway: str = ""

    @property
    def port(self) -> str:
        """The machine's end of the host's cable."""
        return f"{self.bridge}-{self.number}"

    @property
    def machine(self) -> str:
        """The name of container and control group, unique on the machine."""
        return f"{self.bridge}-{self.name}"


@dataclass(frozen=True)
class Run:
    """How a host runs: process numbers, the time (s since the epoch) and count of its boots, how it ended."""

    supervisor: int = 0
    nspawn: int = 0
    leader: int = 0
    boots: int = 0
    started: float = 0.0
    groups: tuple[str, ...] = ()
    ended: str = ""

    def booted(self, nspawn: int, at: float) -> Run:
        """The same after one more boot."""
        return replace(self, nspawn=nspawn, leader=0, boots=self.boots + 1, started=at, ended="")


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file that is whole or not there, and readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def all_hosts(folder: Path) -> Iterator[HostFolder]:
    """The folders of all hosts, also of one that is only half there."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir():
            yield HostFolder(path)


def overlay_options(layers: Sequence[str], disk: Path) -> str:
    """Mount options of a host's disk: its own changes over the image's layers."""
    return f"lowerdir={':'.join(layers)},upperdir={disk}/upper,workdir={disk}/work"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
