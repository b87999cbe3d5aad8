"""The machine that runs the lab: is it one that can, and has it the tools."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

from plugins.errors import RunbookError, UsageError
from plugins.lab.commands import run
from plugins.lab.mirror import Sources, carried_settings, choose_sources, parse_targets
from plugins.lab.progress import Say, timed

SIMULATED = "python -m runbooks.simulate --count 3 -- python -m runbooks.bootstrap"

TOOLS: Mapping[str, str] = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "bridge": "iproute2",
    "ping": "iputils-ping",
    "iptables": "iptables",
    "ethtool": "ethtool",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}
"""Each command that the lab uses, and the Debian and Ubuntu package that has it."""


def distribution(os_release: str) -> tuple[str, str] | None:
    """("Debian" or "Ubuntu", codename) out of the text of /etc/os-release; None for anything else."""
    fields = {}
    for line in os_release.splitlines():
        name, mark, value = line.partition("=")
        if mark:
            fields[name.strip()] = value.strip().strip("\"'")
    kin = [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]
    codename = fields.get("UBUNTU_CODENAME") or fields.get("DEBIAN_CODENAME") or fields.get("VERSION_CODENAME", "")
    for name in ("ubuntu", "debian"):
        if name in kin:
            return name.capitalize(), codename
    return None


def refuse_unless_able(
    *, system: str = "", user: int | None = None, os_release: Path = Path("/etc/os-release")
) -> tuple[str, str]:
    """The machine's (distribution, codename). Raises UsageError, naming the simulated way, where no lab can be."""
    other = f"Simulated hosts need neither root nor this system:\n    {SIMULATED}"
    system = system or platform.system()
    if system != "Linux":
        raise UsageError(f"The lab runs on Debian or Ubuntu, and this is {system}. {other}")
    found = distribution(os_release.read_text()) if os_release.exists() else None
    if found is None:
        raise UsageError(f"The lab runs on Debian or Ubuntu, and this Linux is neither ({os_release}). {other}")
    if (os.geteuid() if user is None else user) != 0:
        raise UsageError(f"The lab makes containers, a bridge and a NAT rule: it needs root (try sudo). {other}")
    return found


def install_tools(say: Say) -> None:
    """Install by apt what the machine lacks, and say so."""
    # root's PATH does not always hold the folders of administration tools.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
    missing = sorted({package for command, package in TOOLS.items() if shutil.which(command) is None})
    if not missing:
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", "install", *missing]
    with timed(say, f"install on this machine: {' '.join(missing)}"):
        run(["apt-get", "update"], env=env, timeout=600)
        run(install, env=env, timeout=900)


def check_overlay(folder: Path) -> None:
    """Raise RunbookError unless hosts' disks can be overlays in `folder`: a trial mount that nobody else sees."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".trial-", dir=folder) as name:
        for part in ("lower", "upper", "work", "root"):
            (Path(name) / part).mkdir()
        options = f"lowerdir={name}/lower,upperdir={name}/upper,workdir={name}/work"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, f"{name}/root"]
        done = run(["unshare", "--mount", "--propagation", "slave", *mount], check=False)
    if done.returncode != 0:
        raise RunbookError(
            f"{folder}: no overlay can be mounted here ({done.stderr.strip()});"
            " name a folder on ext4, xfs or btrfs: --folder DIR"
        )


def read_sources(found: tuple[str, str], gateway: IPv4Address, mirror: str | None) -> Sources:
    """Where the image's packages come from, out of the machine's apt configuration."""
    targets = parse_targets(run(["apt-get", "indextargets"]).stdout)
    settings = carried_settings(run(["apt-config", "dump"]).stdout, gateway=gateway)
    return choose_sources(targets, found[1], found[0], settings=settings, mirror=mirror)


def nameservers(
    files: tuple[Path, ...] = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")),
) -> list[str]:
    """The machine's IPv4 name servers that a host can reach: none on a loopback address."""
    found: list[str] = []
    for file in files:
        for line in file.read_text().splitlines() if file.exists() else []:
            words = line.split()
            if len(words) >= 2 and words[0] == "nameserver" and ":" not in words[1] and not words[1].startswith("127."):
                found.append(words[1])
    return list(dict.fromkeys(found))[:3]


def find_datapath(modules: Path = Path("/sys/module")) -> str:
    """What Open vSwitch can use here: the kernel's datapath (`system`) or its own (`netdev`)."""
    for module in ("openvswitch", "geneve"):
        if not (modules / module).exists() and shutil.which("modprobe"):
            run(["modprobe", "--quiet", module], check=False)
    both = all((modules / module).exists() for module in ("openvswitch", "geneve"))
    return "system" if both else "netdev"


def check_tun(device: Path = Path("/dev/net/tun")) -> None:
    """Raise RunbookError unless the machine has the device that a userspace switch makes its ports of."""
    if not device.exists() and shutil.which("modprobe"):
        run(["modprobe", "--quiet", "tun"], check=False)
    if not device.exists():
        raise RunbookError(f"{device} is not there: this kernel has no TUN/TAP driver, which Open vSwitch needs")
