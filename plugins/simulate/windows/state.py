"""What a simulated Windows host is beyond any host: the part of Windows that the library's verbs see and change."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PureWindowsPath

FEATURES = ("Containers", "Hyper-V")

# Of a fresh Windows Server: RPC, SMB, WinRM; and what services of the runbooks listen on while they run.
_LISTENING = ("tcp 135", "tcp 445", "tcp 5985", "tcp 5986", "tcp 47001", "udp 5353")
_SERVED = {"tcp 10250": "kubelet", "tcp 10249": "kube-proxy", "tcp 10256": "kube-proxy"}


def where(path: str) -> str:
    """Give the key that `plugins.simulate.files` has for a path: Windows does not tell upper from lower case."""
    return f"/{PureWindowsPath(path).as_posix().lower()}"


@dataclass
class Service:
    """A Windows service, in the words of Win32_Service; `since` is the host's tick at its last start.

    `paused_with` names what was stopped together with it and is to run again.
    """

    command: str
    depends: list[str] = field(default_factory=list)
    start: str = "Auto"
    state: str = "Stopped"
    account: str = "LocalSystem"
    recovery: str = "(none)"
    since: int = 0
    paused_with: list[str] = field(default_factory=list)


def _services() -> dict[str, Service]:
    return {
        "WinRM": Service(r"C:\Windows\System32\svchost.exe -k NetworkService -p", state="Running"),
        "WinDefend": Service(r'"C:\ProgramData\Microsoft\Windows Defender\MsMpEng.exe"', state="Running"),
    }


@dataclass
class WindowsState:
    """Texts are in the form in which the verbs compare them."""

    build: str = "20348.2700"
    prefix: int = 16
    """Length of the prefix of the host's own address."""
    gateway: str = "10.142.0.1"
    features: dict[str, str] = field(default_factory=lambda: dict.fromkeys(FEATURES, "Disabled"))
    services: dict[str, Service] = field(default_factory=_services)
    registry: dict[str, str] = field(default_factory=dict)
    """`KIND VALUE` by `KEY NAME`."""
    environment: dict[str, str] = field(default_factory=dict)
    firewall: dict[str, str] = field(default_factory=dict)
    """`ACTION DIRECTION PROTOCOL PORT PROFILE ENABLED` by name."""
    scheduled: dict[str, str] = field(default_factory=dict)
    exclusions: list[str] = field(default_factory=list)
    """`KIND WHAT` of Defender."""
    networks: dict[str, str] = field(default_factory=dict)
    """Subnets of HNS' networks by name; they do not last."""
    endpoints: dict[str, str] = field(default_factory=dict)
    """`ADDRESS in NETWORK` of the host's own endpoints by name; they do not last either."""

    @property
    def listening(self) -> list[str]:
        """`PROTO PORT` of all that something listens on."""
        running = {name for name, service in self.services.items() if service.state == "Running"}
        return sorted([*_LISTENING, *(port for port, name in _SERVED.items() if name in running)])

    def answer(self, proto: str, port: int) -> str:
        """Say what another host finds at a port: nothing comes in without a rule."""
        rules = (rule.split()[:4] for rule in self.firewall.values())
        if ["Allow", "Inbound", proto.upper(), str(port)] not in rules:
            return "timeout"
        return "open" if f"{proto} {port}" in self.listening else "refused"

    def boot(self, tick: int) -> None:
        """Come up again: features that waited for it are there, services that start by themselves run."""
        self.features = {
            name: "Enabled" if state == "EnablePending" else state for name, state in self.features.items()
        }
        self.networks, self.endpoints = {}, {}
        for service in self.services.values():
            service.state = "Running" if service.start == "Auto" else "Stopped"
            service.since, service.paused_with = tick, []

    def start(self, name: str, tick: int) -> None:
        """Start a service, and first those that it depends on; KeyError for one that is not there."""
        service = self.services[name]
        for other in service.depends:
            if self.services[other].state != "Running":
                self.start(other, tick)
        service.state, service.since = "Running", tick

    def stop(self, name: str) -> None:
        """Stop a service, and first those that depend on it."""
        for other, service in self.services.items():
            if name in service.depends and service.state == "Running":
                self.stop(other)
        self.services[name].state = "Stopped"

    def pause(self, name: str) -> None:
        """Stop a service that will be started again, and keep in mind what stops with it."""
        self.services[name].paused_with = list(dict.fromkeys([*self.paused(name), *self.dependents(name)]))
        self.stop(name)

    def dependents(self, name: str) -> list[str]:
        """Name what runs and depends on a service, each after all that it depends on itself."""
        direct = [other for other, each in self.services.items() if name in each.depends and each.state == "Running"]
        found = [*direct, *(further for other in direct for further in self.dependents(other))]
        return list(dict.fromkeys(reversed(found)))[::-1]

    def paused(self, name: str) -> list[str]:
        """Name what was stopped together with a service and does not run yet."""
        names = self.services[name].paused_with
        return [other for other in names if other in self.services and self.services[other].state != "Running"]
