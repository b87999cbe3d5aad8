"""Other tools make the forty looks, tuned as their own documentation advises."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.local_hosts import LocalHost
from benchmarks.looks import LOOKS, playbook, write_deploy
from plugins.errors import RunbookError

_LIMIT = 1800.0  # seconds for one run
_CONNECT = 120  # seconds that Ansible waits for a connection; its own 10 are too few for fifty hosts on one machine
_PYTHON = "/usr/bin/python3"  # on the hosts
_RECAP = re.compile(r"^(\S+)\s*: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
# Operations, then those that changed something and those that failed, then those without a change.
_TOTAL = re.compile(r"Grand total +(\d+) +- +- +(\d+)")


@dataclass(frozen=True)
class Peers:
    """Where they are installed, and which versions."""

    folder: Path
    versions: dict[str, str]

    def program(self, name: str) -> str:
        """Give the path of one of their programs."""
        return str(self.folder / "bin" / name)


def ansible(peers: Peers, hosts: Sequence[LocalHost], *, mitogen: bool = False) -> Callable[[], float]:
    """Make the side that runs the playbook: pipelining, a fork a host, and one connection kept for the run."""
    folder = hosts[0].folder / ("mitogen" if mitogen else "ansible")
    folder.mkdir()
    sockets = folder / "c"
    lines = [
        f"{host.name} ansible_host={host.address} ansible_port={host.port} ansible_user=root"
        f" ansible_ssh_private_key_file={host.folder}/client ansible_python_interpreter={_PYTHON}"
        for host in hosts
    ]
    known = f"-o UserKnownHostsFile={hosts[0].folder}/known_hosts -o GlobalKnownHostsFile=none"
    settings = ["[defaults]", f"forks = {len(hosts)}", "gathering = explicit", "host_key_checking = true"]
    settings.append(f"timeout = {_CONNECT}")
    if mitogen:
        place = next((peers.folder / "lib").glob("python*/site-packages/ansible_mitogen/plugins/strategy"))
        settings += [f"strategy_plugins = {place}", "strategy = mitogen_linear"]
    settings += [
        "[ssh_connection]",
        "pipelining = true",
        f"control_path_dir = {sockets}",
        f"ssh_args = -F none -o ControlMaster=auto -o ControlPersist=60s -o IdentityAgent=none {known}",
    ]
    files = {"inventory": lines, "ansible.cfg": settings, "playbook.yaml": [playbook()]}
    for name, content in files.items():
        (folder / name).write_text("\n".join([*content, ""]), encoding="utf-8")
    command = [peers.program("ansible-playbook"), "-i", "inventory", "playbook.yaml"]
    variables = {"ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_HOME": str(folder / "home")}

    def run() -> float:
        took, said = _timed(command, folder, variables)
        recap = {name: tuple(map(int, counts)) for name, *counts in _RECAP.findall(said)}
        if recap != {host.name: (LOOKS, 0, 0, 0) for host in hosts}:
            raise RunbookError(f"{folder.name}: expected {LOOKS} looks without a change:\n{said[-4000:]}")
        for socket in sockets.glob("*"):  # every run begins without a connection, as all others do
            end = ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "-"]
            subprocess.run(end, capture_output=True, check=False)
        return took

    return run


def pyinfra(peers: Peers, hosts: Sequence[LocalHost]) -> Callable[[], float]:
    """Make the side that runs the deploy, on all hosts at the same time."""
    folder = hosts[0].folder / "pyinfra"
    folder.mkdir()
    operations = write_deploy(folder)
    data = [
        (
            host.address,
            {
                "ssh_port": host.port,
                "ssh_user": "root",
                "ssh_key": f"{host.folder}/client",
                "ssh_known_hosts_file": f"{host.folder}/known_hosts",
                "ssh_strict_host_key_checking": "yes",
                "ssh_allow_agent": False,
                "ssh_look_for_keys": False,
            },
        )
        for host in hosts
    ]
    (folder / "inventory.py").write_text(f"hosts = {data!r}\n", encoding="utf-8")
    command = [peers.program("pyinfra"), "--yes", "--parallel", str(len(hosts)), "inventory.py", "deploy.py"]

    def run() -> float:
        took, said = _timed(command, folder, {})
        if _TOTAL.findall(said) != [(str(operations * len(hosts)),) * 2]:
            raise RunbookError(f"pyinfra: expected {operations} operations without a change:\n{said[-4000:]}")
        return took

    return run


def _timed(command: list[str], folder: Path, variables: dict[str, str]) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1", "PYTHONWARNINGS": "ignore"} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise RunbookError(f"{Path(command[0]).name} failed (exit status {done.returncode}):\n{done.stdout[-4000:]}")
    return took, done.stdout
