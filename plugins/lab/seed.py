"""What a bare host has of its own beside the image: name, address, keys, machine id."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plugins.lab.host import HostFolder
from plugins.lab.keys import ensure_host_keys, ensure_machine_id
from plugins.lab.network import Network
from plugins.lab.options import USER, LabHost
from plugins.lab.recipe import FILES


@dataclass(frozen=True)
class Seed:
    """A file that only this host has. `owner`: whose folder it is in, root unless said."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root"


def seeds_for(host: LabHost, folder: HostFolder, network: Network, dns: Sequence[str], login: str) -> list[Seed]:
    """All files of a bare host; makes its keys when they are not there."""
    values = {
        "name": host.name,
        "address": host.address,
        "prefix": network.subnet.prefixlen,
        "gateway": network.gateway,
        "dns": list(dns) or [str(network.gateway)],
    }
    keys = [
        Seed(f"etc/ssh/{file.name}", file.read_bytes(), 0o644 if file.suffix == ".pub" else 0o600)
        for file in ensure_host_keys(folder)
    ]
    return [
        Seed("etc/hostname", f"{host.name}\n".encode()),
        Seed("etc/machine-id", f"{ensure_machine_id(folder)}\n".encode(), 0o444),
        Seed("etc/hosts", _render("hosts.j2", values)),
        Seed("etc/systemd/network/10-eth0.network", _render("eth0.network.j2", values)),
        Seed(f"home/{USER}/.ssh/authorized_keys", f"{login}\n".encode(), 0o600, USER),
        *keys,
    ]


def write_disk(disk: Path, layers: Sequence[Path], seeds: Sequence[Seed]) -> None:
    """A bare disk: the seeds as its only changes. Their folders get the owner and mode that they have in the image."""
    users = _users(layers)
    # Renamed when it is whole: a host is never started from half a disk.
    new = disk.with_name(".disk-new")
    shutil.rmtree(new, ignore_errors=True)
    upper = new / "upper"
    for part in (upper, new / "work"):
        part.mkdir(parents=True)
    upper.chmod(0o755)
    for seed in seeds:
        target = upper / seed.path
        for folder in reversed(target.relative_to(upper).parents[:-1]):
            _like_image(upper / folder, layers, folder)
        target.write_bytes(seed.content)
        target.chmod(seed.mode)
        os.chown(target, *users[seed.owner])
    new.rename(disk)


def _like_image(made: Path, layers: Sequence[Path], folder: Path) -> None:
    if made.exists():
        return
    look = next((layer / folder).stat() for layer in layers if (layer / folder).is_dir())
    made.mkdir()
    made.chmod(look.st_mode & 0o7777)
    os.chown(made, look.st_uid, look.st_gid)


def _users(layers: Sequence[Path]) -> dict[str, tuple[int, int]]:
    text = next((layer / "etc/passwd").read_text() for layer in layers if (layer / "etc/passwd").exists())
    rows = [line.split(":") for line in text.splitlines()]
    return {row[0]: (int(row[2]), int(row[3])) for row in rows}


def _render(name: str, values: dict[str, object]) -> bytes:
    # Text for configuration files, not for a browser.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(FILES), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.get_template(name).render(values).encode()
