"""What a simulated host is: the part of a machine that the library's verbs can see and change."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

from plugins.simulate.files import Entry, Files, Kind
from plugins.simulate.units import PROGRAMS, Unit, UnitFile, read_unit
from plugins.simulate.windows.state import WindowsState

LOADED_AT_BOOT = "/etc/modules-load.d/ovn-runbooks.conf"
SYSTEM_ID = "/etc/openvswitch/system-id.conf"
OPEN_VSWITCH = "Open_vSwitch ."
# What Debian's packages bring, as far as the verbs look at it. "static" units are started by another.
PACKAGE_UNITS = {
    "openvswitch-switch": {"openvswitch-switch": "enabled", "ovsdb-server": "static", "ovs-vswitchd": "static"},
    "ovn-host": {"ovn-host": "enabled", "ovn-controller": "static"},
    "ovn-central": {
        "ovn-central": "enabled",
        "ovn-northd": "static",
        "ovn-ovsdb-server-nb": "static",
        "ovn-ovsdb-server-sb": "static",
    },
    "containerd": {"containerd": "enabled"},
    "etcd-server": {"etcd": "enabled"},
}
PACKAGE_TOOLS = {
    "openvswitch-switch": frozenset({"ovs-vsctl", "ovs-appctl", "ovs-ofctl"}),
    "ovn-host": frozenset({"ovn-nbctl", "ovn-sbctl", "ovn-appctl"}),
    "ovn-central": frozenset({"ovn-nbctl", "ovn-sbctl", "ovn-appctl"}),
    "containerd": frozenset({"containerd", "ctr"}),
    "curl": frozenset({"curl"}),
}
PACKAGE_FOLDERS = {"openvswitch-switch": "/etc/openvswitch", "ovn-host": "/etc/ovn", "ovn-central": "/etc/ovn"}
# What Debian's base system has, as far as anybody asks.
_TOOLS = frozenset(
    {
        *("apt-cache", "apt-get", "base64", "bash", "diff", "dpkg", "dpkg-query", "flock", "ip", "modinfo", "modprobe"),
        *("perl", "ss", "stat", "sudo", "systemctl", "systemd-run", "timeout"),
    }
)
_FOLDERS = (
    "/etc/modules-load.d",
    "/etc/sysctl.d",
    "/etc/systemd/system",
    "/etc/systemd/network",
    "/root",
    "/run",
    "/usr/local/bin",
    "/var/lib",
)


@dataclass
class Counters:
    """What happened at the host's door."""

    connections: int = 0
    logins: int = 0
    refused_logins: int = 0
    sudo_passwords: int = 0
    wrong_sudo_passwords: int = 0
    scripts: int = 0
    refused_scripts: int = 0
    reboots: int = 0


@dataclass
class HostState:
    """One host."""

    name: str
    role: str
    address: str
    nic: str = "eth0"
    mtu: int = 1500
    address_at: str = ""
    """The interface that has the address: the NIC, or the bridge that it moved into."""
    boot_id: str = field(default_factory=lambda: str(uuid4()))
    machine_id: str = field(default_factory=lambda: uuid4().hex)
    tick: int = 0
    packages: dict[str, str] = field(default_factory=lambda: {"bash": "5.2", "sudo": "1.9"})
    units: dict[str, Unit] = field(default_factory=lambda: {"ssh": Unit("enabled", active=True)})
    modules: list[str] = field(default_factory=list)
    files: Files = field(default_factory=Files)
    network: str = ""
    """Where a change of the network stands: applying, waiting, confirmed or taken-back."""
    network_token: str = ""
    ensured: list[str] = field(default_factory=list)
    ovs: dict[str, dict[str, str]] = field(default_factory=dict)
    nb: dict[str, dict[str, str]] = field(default_factory=dict)
    sb: dict[str, dict[str, str]] = field(default_factory=dict)
    chassis: dict[str, list[str]] = field(default_factory=dict)
    """Of the southbound database: encapsulation and address by chassis name."""
    traffic_switch: dict[str, str] = field(default_factory=dict)
    """Of the northbound database: `MAC IP` by port of the temporary switch."""
    traffic_port: dict[str, str] = field(default_factory=dict)
    """This host's port of it: `address` and `mtu`."""
    images: list[str] = field(default_factory=list)
    """Of containerd, by reference."""
    kernel: dict[str, str] = field(default_factory=dict)
    """Settings of the kernel, by their paths below /proc/sys."""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What etcd keeps, by `KIND NAMESPACE/NAME` (see plugins.simulate.api)."""
    reboot_required: str = ""
    windows: WindowsState | None = None
    """What only a Windows host has."""
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        """Give a new host the folders that every machine has."""
        self.address_at = self.address_at or self.nic
        if self.role == "windows":
            self.windows = self.windows or WindowsState()
            return
        self.kernel = self.kernel or self._fresh_kernel()
        for folder in () if self.files.entries else _FOLDERS:
            self.files.place(folder, Entry(Kind.DIRECTORY))

    @property
    def windows_part(self) -> WindowsState:
        """What only a Windows host has; TypeError on another one."""
        if self.windows is None:
            raise TypeError(f"{self.name} is no Windows host")
        return self.windows

    def next_tick(self) -> int:
        """Count a change: later changes have higher numbers, as time stamps have on a real host."""
        self.tick += 1
        return self.tick

    def tools(self) -> frozenset[str]:
        """Name the commands that the installed packages bring."""
        downloaded = {path.removeprefix(PROGRAMS) for path in self.files.entries if path.startswith(PROGRAMS)}
        return _TOOLS.union(downloaded, *(brought for name, brought in PACKAGE_TOOLS.items() if name in self.packages))

    def unit(self, name: str) -> Unit | None:
        """Give a service as systemd knows it: one that never ran may have no more than its file."""
        return self.units.get(name) or (Unit() if read_unit(self.files, name) else None)

    def running(self, unit: str) -> bool:
        """Whether a service runs; a static one runs with the one that starts it."""
        found = self.units.get(unit)
        return found is not None and found.active

    @staticmethod
    def candidate(pattern: str) -> str:
        """Give the version that the package lists have for a pattern such as `3.5.*`; an empty one takes any."""
        return pattern.replace("*", "0-simulated") or "1.0-simulated"

    def install(self, package: str, version: str) -> None:
        """Install a package: its services are there, and run."""
        self.packages[package] = version
        now = self.next_tick()
        for name, enabled in PACKAGE_UNITS.get(package, {}).items():
            waits = (read_unit(self.files, name) or UnitFile()).waits(self.files)
            self.units.setdefault(name, Unit(enabled, active=not waits, since=now))
        if package == "openvswitch-switch" and not self.ovs:
            self._first_start()
        if package in PACKAGE_FOLDERS and self.files.at(PACKAGE_FOLDERS[package]) is None:
            self.files.place(PACKAGE_FOLDERS[package], Entry(Kind.DIRECTORY, changed=now))

    def _first_start(self) -> None:
        identity = str(uuid4())
        self.ovs[OPEN_VSWITCH] = {"external_ids:system-id": identity, "external_ids:hostname": self.name}
        self.files.place(SYSTEM_ID, Entry(Kind.FILE, "644", "root:root", f"{identity}\n", self.next_tick()))

    def start(self, unit: str) -> str:
        """Start, or start anew, a service and the static ones that belong to it; say why it does not start, if so.

        Open vSwitch takes its identity from its file at every start.
        """
        now, file = self.next_tick(), read_unit(self.files, unit) or UnitFile()
        self.units.setdefault(unit, Unit())
        if program := file.missing(self.files):
            self.units[unit].active = False
            return f"{unit}.service: Unable to locate executable '{program}': No such file or directory"
        if file.waits(self.files):
            self.units[unit].active = False
            return ""
        if unit == "openvswitch-switch" and (identity := (self.files.text(SYSTEM_ID) or "").strip()):
            self.ovs[OPEN_VSWITCH]["external_ids:system-id"] = identity
        for name in (unit, *self._followers(unit)):
            self.units[name].active, self.units[name].since = True, now
        return ""

    def stop(self, unit: str) -> None:
        """Stop a service and the static ones that belong to it."""
        for name in (unit, *self._followers(unit)):
            self.units[name].active = False

    def _followers(self, unit: str) -> list[str]:
        found = PACKAGE_UNITS.get(unit, {})
        return [name for name, enabled in found.items() if enabled == "static" and name in self.units]

    def boot(self) -> None:
        """Come up again: /run is empty, what is enabled runs, modules are those that the files name."""
        self.boot_id, self.reboot_required = str(uuid4()), ""
        if self.windows is not None:
            self.windows.boot(self.next_tick())
            return
        if self.network in {"applying", "waiting"}:  # nothing of it lasts until it is confirmed
            self.address_at = self.nic
            self.ovs.pop(f"Bridge br{self.nic}", None)
        self.network = self.network_token = ""
        self.traffic_port = {}
        self.files.remove("/run")
        self.files.place("/run", Entry(Kind.DIRECTORY))
        self.modules = sorted(set((self.files.text(LOADED_AT_BOOT) or "").split()))
        self.kernel = self._fresh_kernel() | self._kernel_at_boot()
        for name, unit in self.units.items():
            if unit.enabled == "enabled":
                self.start(name)
            elif unit.enabled == "disabled":
                unit.active = False

    def _fresh_kernel(self) -> dict[str, str]:
        return {"net/ipv4/ip_forward": "0", f"net/ipv4/conf/{self.nic}/rp_filter": "2"}

    def _kernel_at_boot(self) -> dict[str, str]:
        files = sorted(path for path in self.files.entries if path.startswith("/etc/sysctl.d/"))
        lines = [line for path in files for line in (self.files.text(path) or "").split()]
        return dict(line.partition("=")[::2] for line in lines)

    def as_json(self) -> dict[str, Any]:
        """Give everything as plain values."""
        return asdict(self)


def lasting(state: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a state what changes without anybody changing the host: counters and /run."""
    kept = {name: value for name, value in state.items() if name != "counters"}
    files = state["files"]["entries"]
    kept["files"] = {path: entry for path, entry in files.items() if path != "/run" and not path.startswith("/run/")}
    return kept
