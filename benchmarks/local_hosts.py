"""SSH servers on this machine that stand in for hosts: real sshd and bash, each with a /run of its own.

Each has its mount namespace (its own script lock and its own files to look at), its process namespace (nothing
outlives it) and its loopback address. They share processors, packages and disk with whoever measures them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from plugins.errors import RunbookError, UsageError

PATIENCE = 10.0  # seconds for sshd to answer
SSHD = "/usr/sbin/sshd"
NEEDS = {SSHD: "openssh-server", "ssh": "openssh-client", "unshare": "util-linux", "setpriv": "util-linux"}
# A private /run has the folder that sshd wants, and ends with the namespace. root's home there is an empty one:
# bash reads a .bashrc for every command that comes by SSH, and whatever is in this machine's is not to be measured.
_START = (
    "mount -t tmpfs -o mode=0755 benchmark /run && mkdir -m 0755 /run/sshd && mkdir -m 0700 /run/home "
    '&& exec "$0" -D -e -f "$1"'
)
_CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {folder}/{name}
AuthorizedKeysFile {folder}/client.pub
PidFile none
StrictModes no
AuthenticationMethods publickey
PermitRootLogin prohibit-password
AllowUsers root
UsePAM {pam}
UseDNS no
PrintMotd no
PermitUserRC no
SetEnv HOME=/run/home
LogLevel ERROR
MaxStartups 1000
"""


@dataclass(frozen=True)
class LocalHost:
    """One SSH server; `folder` holds its keys, the client's and known_hosts."""

    name: str
    address: str
    port: int
    folder: Path

    def ssh(self, *command: str) -> list[str]:
        """Give the words of an ssh command that takes nothing from this user's own configuration."""
        options = [
            "BatchMode=yes",
            "ControlMaster=no",
            "ControlPath=none",
            "StrictHostKeyChecking=yes",
            f"UserKnownHostsFile={self.folder}/known_hosts",
            "GlobalKnownHostsFile=none",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
        ]
        flags = [word for option in options for word in ("-o", option)]
        where = ["-p", str(self.port), "-l", "root", self.address]
        return ["ssh", "-F", "none", "-T", "-i", f"{self.folder}/client", *flags, *where, *command]


def check_machine() -> None:
    """Raise UsageError where local hosts cannot be made."""
    if os.geteuid() != 0:
        raise UsageError("This needs root: it starts SSH servers in mount namespaces of their own. Nothing was done.")
    missing = sorted({package for tool, package in NEEDS.items() if shutil.which(tool) is None})
    if missing:
        raise UsageError(f"This needs {' and '.join(missing)}: apt-get install {' '.join(missing)}. Nothing was done.")


@contextlib.contextmanager
def local_hosts(folder: Path, count: int) -> Iterator[list[LocalHost]]:
    """Serve `count` hosts; keys, known_hosts and inventory/ are written into `folder`. Raises RunbookError."""
    names = ["master-1", *(f"linux-{number}" for number in range(1, count))]
    hosts = [_place(name, number, folder) for number, name in enumerate(names, 1)]
    for key in ("client", *names):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", folder / key], check=True)
    write_inventory(folder, hosts)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_serve(host)) for host in hosts]
        for host, server in zip(hosts, servers, strict=True):
            _wait(host, server)
        yield hosts


def _place(name: str, number: int, folder: Path) -> LocalHost:
    """Find a free port on the host's own address."""
    address = f"127.0.{89 + number // 250}.{number % 250 + 1}"
    for port in range(2222, 2322):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            return LocalHost(name, address, port, folder)
    raise RunbookError(f"{address}: no free port from 2222 to 2321; end what listens there")


@contextlib.contextmanager
def _serve(host: LocalHost) -> Iterator[subprocess.Popen[bytes]]:
    config, log = host.folder / f"{host.name}.conf", host.folder / f"{host.name}.log"
    values = {"port": host.port, "address": host.address, "folder": host.folder, "name": host.name, "pam": _pam()}
    config.write_text(_CONFIG.format(**values))
    # However this process ends, the kernel ends unshare, and unshare its namespaces with all that is in them.
    own = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*own, "sh", "-c", _START, SSHD, str(config)],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the measurement, which then ends its servers
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a namespace and wait until nothing of it is left, which is when the first process in it is reaped."""
    first: list[str] = []
    with contextlib.suppress(OSError):
        first = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    for pid in first:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    if not first:
        process.kill()
    process.wait()


def _pam() -> str:
    """Without PAM raw SSH is at its fastest, but sshd then refuses an account whose password is locked."""
    shadow = Path("/etc/shadow").read_text(encoding="utf-8")
    locked = any(line.startswith("root:!") for line in shadow.splitlines())
    return "yes" if locked else "no"


def _wait(host: LocalHost, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host.address, host.port), timeout=1) as line:
            if line.recv(4) == b"SSH-":
                return
        time.sleep(0.02)
    said = (host.folder / f"{host.name}.log").read_text(errors="replace").strip()
    raise RunbookError(f"{host.name}: sshd on {host.address}:{host.port} does not answer: {said or 'it said nothing'}")


def write_inventory(folder: Path, hosts: Sequence[LocalHost]) -> None:
    """Write known_hosts and inventory/ into `folder`, which has the keys."""
    known = (f"[{host.address}]:{host.port} {(folder / f'{host.name}.pub').read_text()}" for host in hosts)
    (folder / "known_hosts").write_text("".join(known))
    inventory = folder / "inventory"
    inventory.mkdir()
    entries = {
        host.name: {
            "hostname": host.address,
            "port": host.port,
            "groups": [host.name.rpartition("-")[0]],
            "data": {"address": f"10.142.{number // 250}.{number % 250 + 1}"},  # nothing is ever sent there
        }
        for number, host in enumerate(hosts, 1)
    }
    ssh = {"key_file": str(folder / "client"), "known_hosts": str(folder / "known_hosts"), "host_keys": "strict"}
    cluster = {
        "name": "benchmark",
        "pod_network": "10.244.0.0/16",
        "service_network": "10.100.0.0/16",
        "dns_address": "10.100.0.10",
    }
    defaults = {"username": "root", "data": {"ssh": ssh | {"agent": False, "config_file": None}, "cluster": cluster}}
    for name, content in {"hosts": entries, "groups": {"master": {}, "linux": {}}, "defaults": defaults}.items():
        (inventory / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
