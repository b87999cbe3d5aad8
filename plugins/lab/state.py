"""What a lab is, as `up` left it and `down` and `status` find it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from plugins.errors import RunbookError, UsageError
from plugins.lab.host import HostFolder, all_hosts, write_private
from plugins.lab.network import Network
from plugins.lab.options import (
    DEFAULT_BRIDGE,
    DEFAULT_INVENTORY,
    DEFAULT_NETWORK,
    DEFAULT_WORKERS,
    LabHost,
    LabOptions,
    LabPaths,
    plan_hosts,
)

VERSION = 1


@dataclass(frozen=True)
class LabState:
    """A lab. `datapath`: what Open vSwitch can use on this machine, system or netdev.

    `overlay_only`: its inventory asks for no Kubernetes.
    """

    folder: Path
    inventory: Path
    images: Path
    network: Network
    workers: int
    sudo_password: bool
    datapath: str
    overlay_only: bool = False
    windows: int = 0

    @property
    def paths(self) -> LabPaths:
        """Where the lab keeps its things."""
        return LabPaths(self.folder)

    @property
    def hosts(self) -> tuple[LabHost, ...]:
        """Its hosts, the master first, Windows hosts last."""
        return plan_hosts(self.workers, self.network.subnet, self.windows)

    def host_folder(self, host: LabHost) -> HostFolder:
        """The folder of one of its hosts."""
        return HostFolder(self.paths.host(host.name))


def planned(options: LabOptions, before: LabState | None, datapath: str) -> LabState:
    """The lab that is asked for. Raises UsageError when it cannot come out of the one that is there."""
    network = Network(
        options.bridge or (before.network.bridge if before else DEFAULT_BRIDGE),
        options.network or (before.network.subnet if before else DEFAULT_NETWORK),
    )
    if before is not None and before.network != network:
        raise UsageError(
            f"the lab in {options.folder} is on {before.network.bridge} {before.network.subnet}; take it down first"
        )
    workers = options.workers if options.workers is not None else before.workers if before else DEFAULT_WORKERS
    windows = options.windows if options.windows is not None else before.windows if before else 0
    password, alone = options.sudo_password, options.overlay_only
    return LabState(
        folder=options.folder,
        inventory=options.inventory or (before.inventory if before else DEFAULT_INVENTORY),
        images=options.images or (before.images if before else LabPaths(options.folder).images),
        network=network,
        workers=workers,
        sudo_password=password if password is not None else bool(before and before.sudo_password),
        datapath=datapath,
        overlay_only=alone if alone is not None else bool(before and before.overlay_only),
        windows=windows,
    )


def write_state(state: LabState) -> None:
    """Note what the lab is."""
    content = {
        "version": VERSION,
        "inventory": str(state.inventory),
        "images": str(state.images),
        "bridge": state.network.bridge,
        "subnet": str(state.network.subnet),
        "workers": state.workers,
        "sudo_password": state.sudo_password,
        "datapath": state.datapath,
        "overlay_only": state.overlay_only,
        "windows": state.windows,
    }
    write_private(state.paths.state, json.dumps(content, indent=1) + "\n")


def read_state(folder: Path) -> LabState | None:
    """The lab in a folder; None when there is none. Raises RunbookError for a file of another version."""
    file = LabPaths(folder).state
    if not file.exists():
        return None
    content = json.loads(file.read_text())
    if content.get("version") != VERSION:
        raise RunbookError(f"{file}: made by another version of this command; take that lab down with it")
    return LabState(
        folder=folder,
        inventory=Path(content["inventory"]),
        images=Path(content["images"]),
        network=Network(content["bridge"], IPv4Network(content["subnet"])),
        workers=content["workers"],
        sudo_password=content["sudo_password"],
        datapath=content["datapath"],
        overlay_only=content.get("overlay_only", False),
        windows=content.get("windows", 0),
    )


def surplus(state: LabState) -> Sequence[HostFolder]:
    """Folders of hosts that the lab no longer has, or has at another address."""
    numbers = {host.name: host.number for host in state.hosts}
    return [folder for folder in all_hosts(state.paths.hosts) if not _stays(folder, numbers)]


def _stays(folder: HostFolder, numbers: Mapping[str, int]) -> bool:
    spec = folder.read_spec()
    return folder.name in numbers and (spec is None or spec.number == numbers[folder.name])
