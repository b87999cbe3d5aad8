"""What a lab is asked to be, where it keeps its things, and which hosts it has."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from plugins.errors import UsageError

FOLDER_VARIABLE = "OVN_RUNBOOKS_LAB"
DEFAULT_FOLDER = Path("/var/lib/ovn-runbooks/lab")
DEFAULT_NETWORK = ipaddress.IPv4Network("10.142.0.0/20")
DEFAULT_BRIDGE = "labbr0"
DEFAULT_WORKERS = 2
DEFAULT_INVENTORY = Path(__file__).resolve().parents[2] / "inventory" / "lab"
RELEASE = Path(__file__).resolve().parents[2] / "inventory" / "releases" / "current.yaml"

USER = "operator"
"""Login user of every Linux host."""
ADMINISTRATOR = "Administrator"
"""That of every Windows host."""
WINDOWS = "windows"
"""Role of the simulated Windows hosts."""


def default_folder() -> Path:
    """The lab folder: $OVN_RUNBOOKS_LAB, else one under /var/lib."""
    return Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER).absolute()


@dataclass(frozen=True)
class LabOptions:
    """What `up` is asked for. None means: as the lab already is, else the default.

    `images` lets several labs share one image cache; two labs on one machine need their own
    folder, bridge and network.
    """

    folder: Path = field(default_factory=default_folder)
    inventory: Path | None = None
    workers: int | None = None
    windows: int | None = None
    sudo_password: bool | None = None
    overlay_only: bool | None = None
    fresh: bool = False
    network: ipaddress.IPv4Network | None = None
    bridge: str | None = None
    mirror: str | None = None
    images: Path | None = None
    release: Path = RELEASE
    boot_timeout: float = 120.0
    """Seconds that a host has to boot and answer on its SSH port."""

    def check(self) -> None:
        """Refuse what cannot work, before anything is touched."""
        if self.workers is not None and not 0 <= self.workers <= 60:
            raise UsageError(f"--count {self.workers}: a lab has 0 to 60 workers")
        if self.windows is not None and not 0 <= self.windows <= 20:
            raise UsageError(f"--windows {self.windows}: a lab has 0 to 20 Windows hosts")
        network = self.network or DEFAULT_NETWORK
        if (self.workers or 0) + (self.windows or 0) + 3 >= network.num_addresses - 1:
            raise UsageError(f"--network {network}: too small for the machine and its hosts")
        if any(mark in str(self.folder) for mark in ':,\\"\n'):
            raise UsageError(
                f"{self.folder}: an overlay mount cannot hold a path with a comma, colon, backslash or quote"
            )
        # Linux allows 15 characters for a NIC, and the hosts' ports are named BRIDGE-NN.
        bridge = self.bridge or DEFAULT_BRIDGE
        if not bridge.isalnum() or not 2 <= len(bridge) <= 11:
            raise UsageError(f"--bridge {bridge!r}: 2 to 11 letters and digits")


@dataclass(frozen=True)
class LabPaths:
    """Where a lab keeps its things, under one folder of mode 0700."""

    folder: Path

    @property
    def state(self) -> Path:
        """lab.json: what the lab is."""
        return self.folder / "lab.json"

    @property
    def lock(self) -> Path:
        """Held by the command that works on the lab."""
        return self.folder / "lock"

    @property
    def hosts(self) -> Path:
        """One folder for each host."""
        return self.folder / "hosts"

    @property
    def keys(self) -> Path:
        """Login key, known_hosts, passwords, the CA of the Windows hosts' WinRM."""
        return self.folder / "keys"

    @property
    def images(self) -> Path:
        """The image cache, unless the options name another."""
        return self.folder / "images"

    @property
    def key_file(self) -> Path:
        """Private key of the login user."""
        return self.keys / "operator"

    @property
    def known_hosts(self) -> Path:
        """Host keys of all lab hosts."""
        return self.keys / "known_hosts"

    @property
    def sudo_password(self) -> Path:
        """The password that sudo asks for, when it does."""
        return self.keys / "sudo-password"

    @property
    def windows_password(self) -> Path:
        """The password of the Windows hosts' Administrator."""
        return self.keys / "windows-password"

    @property
    def windows_ca(self) -> Path:
        """Certificate of the CA that vouches for the Windows hosts' WinRM."""
        return self.keys / "windows-ca.pem"

    def host(self, name: str) -> Path:
        """The folder of one host: its disk, console log and running state."""
        return self.hosts / name


@dataclass(frozen=True)
class LabHost:
    """One host of the lab. `number` is its place in the network, beginning with 2."""

    name: str
    role: str
    address: ipaddress.IPv4Address
    number: int

    @property
    def windows(self) -> bool:
        """Whether it is a simulated Windows host, and no machine of its own."""
        return self.role == WINDOWS


def plan_hosts(workers: int, network: ipaddress.IPv4Network, windows: int = 0) -> tuple[LabHost, ...]:
    """A master at the network's address 2, workers linux-1, linux-2, ... after it, and windows-1, ... after those."""
    names = [("master", "master"), *((f"linux-{n}", "linux") for n in range(1, workers + 1))]
    names += [(f"windows-{n}", WINDOWS) for n in range(1, windows + 1)]
    return tuple(LabHost(name, role, network[number], number) for number, (name, role) in enumerate(names, start=2))
