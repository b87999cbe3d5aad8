"""Keeps one host running: `python -m plugins.lab.supervisor HOST_FOLDER`, in a mount namespace of its own.

The disk is mounted in that namespace, so the mount ends with the supervisor however that ends. A host that
reboots is started again; one that powers off, or whose container breaks, stays off.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from plugins.errors import RunbookError
from plugins.lab import cgroups, network
from plugins.lab.commands import run
from plugins.lab.console import ConsoleLog
from plugins.lab.host import HostFolder, Run, Spec, overlay_options
from plugins.lab.lock import in_use, locked
from plugins.lab.processes import leader_of

REBOOT = 133
"""systemd-nspawn's exit status when the host inside asked for a reboot and --keep-unit is given (measured)."""

GRACE_SECONDS = 3.0
QUICK_SECONDS = 2.0
QUICK_LIMIT = 5


class Supervisor:
    """One host from its start to its end; another kind of host has another command line and cable."""

    def __init__(self, folder: HostFolder, spec: Spec) -> None:
        self.folder, self.spec = folder, spec
        self.state = folder.read_run()
        self.console = ConsoleLog(folder.console)
        self.groups: list[Path] = []
        self.stop_at: float | None = None
        self.child: subprocess.Popen[bytes] | None = None

    def run(self) -> str:
        """Run the host until it ends for good; returns why, in words."""
        signal.signal(signal.SIGTERM, self._stop)
        self.groups = cgroups.make(self.spec.machine)
        self.state = Run(supervisor=os.getpid(), groups=tuple(map(str, self.groups)))
        self.folder.write_run(self.state)
        self.mount()
        quick = 0
        while True:
            begin = time.monotonic()
            status = self._boot()
            quick = quick + 1 if time.monotonic() - begin < QUICK_SECONDS else 0
            if self.stop_at is not None:
                return "stopped"
            if status != REBOOT:
                return "powered off" if status == 0 else f"host ended with status {status}"
            if quick == QUICK_LIMIT:
                return f"rebooted {quick} times within {QUICK_SECONDS:.0f} s each"

    def close(self, why: str) -> None:
        """Leave nothing of the host but its disk and its log."""
        self.folder.write_run(replace(self.state, ended=why, leader=0, nspawn=0))
        self.console.close()
        with contextlib.suppress(OSError, TimeoutError):
            cgroups.enter(self.groups, "..")
            cgroups.remove(self.groups)

    def mount(self) -> None:
        """Put the host's disk together."""
        disk = self.folder.path / "disk"
        self.folder.root.mkdir(exist_ok=True)
        for place in self.folder.container_folders.values():
            place.mkdir(mode=0o711, parents=True, exist_ok=True)
        options = overlay_options(self.spec.layers, disk)
        run(["mount", "-t", "overlay", "overlay", "-o", options, str(self.folder.root)])

    def _boot(self) -> int:
        """One boot of the host, from power on to power off; returns its first process' exit status."""
        if network.exists(self.spec.port):
            # The kernel may be faster with the cable of a network namespace that has just ended.
            run(["ip", "link", "delete", self.spec.port], check=False)
        cgroups.enter(self.groups, cgroups.HOST)
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1"}
        self.child = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
        )
        cgroups.enter(self.groups, cgroups.KEEPER)
        cgroups.delegate(self.groups)
        assert self.child.stdout is not None
        self.console.copy(os.dup(self.child.stdout.fileno()))
        self.child.stdout.close()
        self.state = self.state.booted(self.child.pid, time.time())
        self.folder.write_run(self.state)
        self.plug(self.child)
        status = self._wait(self.child)
        # A container whose systemd-nspawn was killed goes on without it.
        cgroups.kill([group / cgroups.HOST for group in self.groups])
        return status

    def command(self) -> list[str]:
        """The command line of the host's first process."""
        return nspawn_command(self.spec, self.folder)

    def plug(self, child: subprocess.Popen[bytes]) -> None:
        """Put the host's cable into the bridge as soon as systemd-nspawn has made it."""
        until = time.monotonic() + 10
        leader = 0
        while child.poll() is None and not leader and time.monotonic() < until:
            time.sleep(0.02)
            leader = leader_of(child.pid) if network.exists(self.spec.port) else 0
        if not leader:
            return
        self.led_by(leader)
        try:
            run(["ip", "link", "set", self.spec.port, "master", self.spec.bridge, "up"])
            # A userspace switch that gets this NIC passes packets on as they are: checksums must be whole.
            run(["nsenter", f"--net=/proc/{leader}/ns/net", "ethtool", "--offload", "eth0", "tx", "off"], check=False)
        except RunbookError as error:
            self.console.write(f"{error}\n".encode())

    def led_by(self, leader: int) -> None:
        """Note the process in whose namespaces the host is."""
        self.state = replace(self.state, leader=leader)
        self.folder.write_run(self.state)

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(timeout=0.2)
            if self.stop_at is not None and time.monotonic() > self.stop_at:
                child.kill()

    def _stop(self, _signal: int, _frame: object) -> None:
        """Ask the host to power off; what is left after the grace is killed."""
        if self.stop_at is None:
            self.stop_at = time.monotonic() + GRACE_SECONDS
            if self.child is not None:
                self.child.terminate()


def nspawn_command(spec: Spec, folder: HostFolder) -> list[str]:
    """The command line of a host; the reasons are in docs/lab.md."""
    return [
        *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--settings=no"),
        *(f"--directory={folder.root}", f"--machine={spec.machine}", f"--hostname={spec.name}"),
        *("--console=read-only", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
        *("--capability=all", "--system-call-filter=@keyring bpf @mount"),
        *(f"--network-veth-extra={spec.port}:eth0", "--bind=/dev/net/tun"),
        *(f"--bind={source}:{place}" for place, source in folder.container_folders.items()),
        *(("--bind-ro=/lib/modules",) if spec.modules else ()),
    ]


def main(path: str, kind: type[Supervisor] = Supervisor) -> int:
    """Run the host whose folder is `path`; 0 when it ended as asked."""
    folder = HostFolder(Path(path))
    spec = folder.read_spec()
    if spec is None:
        print(f"{path}: no host is described here", file=sys.stderr)
        return 2
    with locked(folder.lock, f"host {folder.name}", wait=5), in_use(map(Path, spec.layers)):
        supervisor = kind(folder, spec)
        why = "its supervisor failed"
        try:
            why = supervisor.run()
        finally:
            supervisor.close(why)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
