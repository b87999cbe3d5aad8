"""Simulated hosts from the side of whoever wants some: start them, look into them, give them faults, stop them."""

from __future__ import annotations

import fnmatch
import json
import os
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from plugins.errors import UsageError
from plugins.simulate.faults import parse_fault
from plugins.simulate.host import Timing
from plugins.simulate.layout import Access, PlannedHost, WindowsAccess, plan, write_inventory
from plugins.words import quoted, suggestion

DESCRIPTORS_PER_HOST = 4  # a port, a connection at either end, one to spare
DESCRIPTORS_BESIDE = 200
STOP_SECONDS = 10.0
WINDOWS_USER = "Administrator"


@dataclass(frozen=True)
class Options:
    """What the hosts are like. `host_keys` is what the inventory says; only `strict` gets a known_hosts file."""

    count: int = 3
    windows: int = 0
    faults: tuple[str, ...] = ()
    user: str = "operator"
    login: str = "key"
    sudo_password: bool = False
    host_keys: str = "strict"
    timing: Timing = field(default_factory=Timing)


class SimulatedCluster:
    """Simulated hosts in a process of their own, and a folder with their inventory, for as long as the context lasts.

    Raises UsageError for options that are wrong, or that this machine cannot carry.
    """

    def __init__(self, options: Options | None = None, folder: Path | None = None) -> None:
        self.options = options or Options()
        self.hosts: list[PlannedHost] = plan(self.options.count, self.options.windows)
        for fault in self.options.faults:
            self._check(fault)
        raise_descriptor_limit(len(self.hosts))
        self.folder = folder or Path(tempfile.mkdtemp(prefix="ovn-runbooks-simulated-"))
        self._temporary = folder is None
        self._process: subprocess.Popen[str] | None = None
        self.listening: dict[str, tuple[str, int]] = {}

    @property
    def inventory(self) -> Path:
        """The inventory folder."""
        return self.folder / "inventory"

    @property
    def state_folder(self) -> Path:
        """Where runs against these hosts keep their state."""
        return self.folder / "state" / "ovn-runbooks"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make a runbook use these hosts and nothing of the operator's own state."""
        return {
            "OVN_RUNBOOKS_INVENTORY": str(self.inventory),
            "OVN_RUNBOOKS_STATE": str(self.state_folder),
            "XDG_STATE_HOME": str(self.state_folder.parent),
        }

    @property
    def pid(self) -> int:
        """The process of the hosts."""
        return self._running().pid

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        options = self.options
        login, host_key, other_key = (Ed25519PrivateKey.generate() for _ in range(3))
        password = secrets.token_urlsafe(12) if options.login == "password" else None
        windows_password = secrets.token_urlsafe(12)
        sudo_password = secrets.token_urlsafe(12) if options.sudo_password else None
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # No state of the runbooks' process is inherited: its own session, and no signal of the keyboard.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "plugins.simulate.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=Path(__file__).parent.parent.parent,
        )
        answer = self._ask(
            {
                "hosts": [asdict(host) for host in self.hosts],
                "faults": options.faults,
                "timing": asdict(options.timing),
                "users": ["root", options.user],
                "login_key": _public(login),
                "login_password": password,
                "sudo_password": sudo_password,
                "host_key": _private(host_key).decode(),
                "other_key": _private(other_key).decode(),
                "windows": {"user": WINDOWS_USER, "password": windows_password},
                "folder": str(self.folder),
                "remove": str(self.folder) if self._temporary else "",
            }
        )
        self.listening = {name: (address, port) for name, (address, port) in answer["listening"].items()}
        windows = self._windows(windows_password, answer["windows_authority"])
        self._write(login, _public(host_key), password, sudo_password, windows)

    def _windows(self, password: str, authority: str) -> WindowsAccess | None:
        """Write what a client of the Windows hosts needs."""
        if not authority:
            return None
        ca_file = self.folder / "windows-ca.pem"
        ca_file.write_text(authority)
        return WindowsAccess(WINDOWS_USER, self._secret("windows-password", password.encode()), ca_file)

    def _write(
        self,
        login: Ed25519PrivateKey,
        host_key: str,
        password: str | None,
        sudo_password: str | None,
        windows: WindowsAccess | None,
    ) -> None:
        """Write what a client needs: keys, passwords, known hosts, inventory."""
        known_hosts = self.folder / "known_hosts"
        if self.options.host_keys == "strict":
            served = [self.listening[host.name] for host in self.hosts if host.role != "windows"]
            known_hosts.write_text("".join(f"[{address}]:{port} {host_key}\n" for address, port in served))
        access = Access(
            user=self.options.user,
            known_hosts=known_hosts,
            key_file=None if password else self._secret("key", _private(login)),
            password_file=self._secret("password", password.encode()) if password else None,
            sudo_password_file=self._secret("sudo-password", sudo_password.encode()) if sudo_password else None,
            host_keys=self.options.host_keys,
            windows=windows,
        )
        write_inventory(self.inventory, self.hosts, self.listening, access)

    def _secret(self, name: str, content: bytes) -> Path:
        file = self.folder / name
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(content)
        return file

    def _check(self, text: str) -> None:
        """Refuse a fault that could never strike."""
        fault = parse_fault(text)
        served = [host.name for host in self.hosts]
        if not fnmatch.filter(served, fault.host):
            raise UsageError(f"fault {quoted(text)}: {suggestion(fault.host, served, 'the simulated hosts are')}")

    def state(self, host: str) -> dict[str, Any]:
        """Give a host's whole state as plain values (see plugins.simulate.state)."""
        found: dict[str, Any] = self._ask({"do": "state", "host": host})["state"]
        return found

    def requests(self, host: str) -> list[str]:
        """Name the WS-Management actions that a Windows host has carried out so far, or refused with a fault."""
        return list(self._ask({"do": "requests", "host": host})["requests"])

    def add_fault(self, fault: str) -> None:
        """Give the hosts one more fault, from now on; raises UsageError."""
        self._check(fault)
        self._ask({"do": "add fault", "fault": fault})

    def clear_faults(self) -> None:
        """Mend everything; a host that is down stays down until power_on."""
        self._ask({"do": "clear faults"})

    def power_on(self, host: str) -> None:
        """Boot a host that did not come back."""
        self._ask({"do": "power on", "host": host})

    def running_scripts(self) -> int:
        """Count the scripts that run on all hosts."""
        return int(self._ask({"do": "busy"})["scripts"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline() or "{}")
        except BrokenPipeError:
            answer = {}
        if "error" in answer or (not answer and process.poll() is not None):
            raise UsageError(f"simulated hosts: {answer.get('error', 'their process has ended')}")
        return dict(answer)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise UsageError("the simulated hosts are not started")
        return self._process

    def stop(self) -> None:
        """End the process and take the folder away; safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.close()
                process.wait(STOP_SECONDS)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                process.kill()
                process.wait()
            process.stdout.close()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)


def raise_descriptor_limit(hosts: int) -> None:
    """Allow this process and its children as many open files as `hosts` need; UsageError where that is too many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = hosts * DESCRIPTORS_PER_HOST + DESCRIPTORS_BESIDE
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UsageError(
            f"{hosts} simulated hosts need {needed} open files and this process may have {hard}: "
            f"raise the hard limit (`ulimit -Hn {needed}` as root, or LimitNOFILE), or take fewer hosts"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _private(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
