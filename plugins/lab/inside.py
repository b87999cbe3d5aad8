"""A command inside a host without SSH, and what breaks a host on purpose: for tests and for looking around."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from plugins.errors import HostError
from plugins.lab.commands import run
from plugins.lab.host import HostFolder
from plugins.lab.options import LabPaths
from plugins.lab.processes import leader_of
from plugins.lab.windows.disk import windows_fingerprint

POWER_CYCLE = signal.SIGUSR1
"""What a simulated Windows host takes for the loss of power, and its return."""
ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8")
RESTLESS = (
    *("var/log", "run", "tmp", "var/tmp", "var/lib/systemd", "var/cache/ldconfig", "var/lib/sudo", "root/.cache"),
    # What a cluster that runs writes by itself; its images and pods are on no disk of a host at all.
    *("var/lib/etcd", "var/lib/cni"),
)
"""Where files change although nobody changed the host."""


def leader(folder: HostFolder) -> int:
    """Process number, on the machine, of a running host's process 1. Raises HostError when the host is off."""
    if (spec := folder.read_spec()) is not None and spec.windows:
        raise HostError(folder.name, "enter", "a simulated Windows host runs no programs")
    found = leader_of(folder.read_run().nspawn) if folder.is_supervised() else 0
    if not found:
        raise HostError(folder.name, "enter", "the host is not running", "python -m runbooks.lab up")
    return found


def run_inside(
    folder: Path,
    host: str,
    command: Sequence[str],
    *,
    text: str | None = None,
    timeout: float = 60.0,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command as root in all namespaces of a host, past its network, sshd and sudo.

    `folder` is the lab folder. Raises HostError when the host is off, RunbookError unless the command exits 0 or
    `check` is off.
    """
    process = leader(HostFolder(LabPaths(folder).host(host)))
    enter = [
        "nsenter",
        f"--target={process}",
        "--mount",
        "--uts",
        "--ipc",
        "--net",
        "--pid",
        "--cgroup",
        "--root",
        "--wd",
    ]
    return run([*enter, "env", "-i", *ENVIRONMENT, *command], text=text, timeout=timeout, check=check)


def run_in_network(folder: Path, host: str, command: Sequence[str], *, check: bool = True) -> str:
    """Run a command of this machine in a host's network namespace; what it printed.

    Of a simulated Windows host that is all there is to run anything in. Raises as run_inside does.
    """
    state = HostFolder(LabPaths(folder).host(host)).read_run()
    if not state.leader:
        raise HostError(host, "enter", "the host is not running", "python -m runbooks.lab up")
    return run(["nsenter", f"--target={state.leader}", "--net", *command], check=check).stdout


def power_cycle(folder: Path, host: str) -> None:
    """Take the power from a simulated Windows host, and give it back."""
    home = HostFolder(LabPaths(folder).host(host))
    spec = home.read_spec()
    if spec is None or not spec.windows or not home.is_supervised():
        raise HostError(host, "power cycle", "it is no simulated Windows host that runs")
    os.kill(home.read_run().leader, POWER_CYCLE)


@contextmanager
def unplugged(folder: Path, host: str) -> Iterator[None]:
    """The host's cable is out: on the machine's side, so that nothing in the host knows why."""
    spec = HostFolder(LabPaths(folder).host(host)).read_spec()
    if spec is None:
        raise HostError(host, "unplug", "no such host in this lab")
    run(["ip", "link", "set", spec.port, "down"])
    try:
        yield
    finally:
        run(["ip", "link", "set", spec.port, "up"], check=False)


@contextmanager
def full_disk(folder: Path, host: str, place: str, size: str = "64k") -> Iterator[None]:
    """A folder of the host that has no space left: an empty file system of `size`, hiding what was there."""
    run_inside(folder, host, ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", place])
    run_inside(folder, host, ["dd", "if=/dev/zero", f"of={place}/.filled", "bs=4k"], check=False)
    try:
        yield
    finally:
        run_inside(folder, host, ["umount", "--lazy", place])


def fingerprint(folder: Path, host: str, ignore: Sequence[str] = RESTLESS) -> dict[str, str]:
    """Every file by which the host's disk differs from its image: path to a hash of content, mode and owner.

    Two equal answers mean that nothing was written in between, `ignore` aside. Needs no running host.
    """
    home, found = HostFolder(LabPaths(folder).host(host)), {}
    if (spec := home.read_spec()) is not None and spec.windows:
        return windows_fingerprint(home)
    changes = home.changes
    for place, folders, files in os.walk(changes):
        relative = Path(place).relative_to(changes)
        folders[:] = [name for name in folders if str(relative / name) not in ignore]
        for name in (*folders, *files):
            found[str(relative / name)] = _look(Path(place) / name)
    return found


def _look(path: Path) -> str:
    info = path.lstat()
    look = hashlib.sha256(f"{info.st_mode:o} {info.st_uid} {info.st_gid} {info.st_rdev}".encode())
    if stat.S_ISLNK(info.st_mode):
        look.update(os.fsencode(path.readlink()))
    elif stat.S_ISREG(info.st_mode):
        with path.open("rb") as file:
            look.update(hashlib.file_digest(file, "sha256").digest())
    return look.hexdigest()
