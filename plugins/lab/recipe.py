"""What the hosts' image is made of. A changed recipe has another name, and so makes another image."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from plugins.lab.mirror import Sources
from plugins.lab.options import USER

FILES = Path(__file__).with_name("files")
BASE_FILES = ("prepare_image.sh", "run_in_image.sh", "lab-machine", "lab-machine.service")
LOCAL_AUTHORITIES = Path("/usr/local/share/ca-certificates")

# What a cloud image has: a login over SSH, sudo, name resolution. Nothing that a runbook should install itself.
PACKAGES = (
    *("systemd", "systemd-sysv", "systemd-resolved", "libpam-systemd", "dbus", "openssh-server", "sudo"),
    *("iproute2", "kmod", "python3-minimal", "ca-certificates", "curl"),
)
# Part of another package there, before it was split off.
NO_PACKAGES = {"jammy": {"systemd-resolved"}}
APT_CONF = 'Acquire::Languages "none";\nAcquire::PDiffs "false";\n'


@dataclass(frozen=True)
class Recipe:
    """Everything that the image depends on. `authorities`: the machine's own CA certificates, name and PEM text."""

    sources: Sources
    prefetch: tuple[str, ...] = ()
    authorities: tuple[tuple[str, str], ...] = ()

    @property
    def include(self) -> tuple[str, ...]:
        """The packages of the base layer, as the suite has them."""
        return tuple(name for name in PACKAGES if name not in NO_PACKAGES.get(self.sources.suite, ()))

    @property
    def base(self) -> str:
        """Name of the base layer."""
        scripts = [(FILES / name).read_text() for name in BASE_FILES]
        return "base-" + _digest([asdict(self.sources), self.authorities, self.include, APT_CONF, USER, scripts])

    @property
    def packages(self) -> str:
        """Name of the layer with downloaded packages."""
        return "packages-" + _digest([self.base, sorted(self.prefetch), (FILES / "prefetch.sh").read_text()])

    @property
    def layers(self) -> tuple[str, str]:
        """Names of the layers, topmost first."""
        return (self.packages, self.base)


def read_recipe(sources: Sources, release: Path) -> Recipe:
    """The recipe for this machine. A release file that is not there names no packages."""
    authorities = LOCAL_AUTHORITIES.glob("**/*.crt") if LOCAL_AUTHORITIES.is_dir() else ()
    return Recipe(
        sources=sources,
        prefetch=release_packages(release.read_text()) if release.exists() else (),
        authorities=tuple(sorted((f.name, f.read_text()) for f in authorities)),
    )


def release_packages(text: str) -> tuple[str, ...]:
    """Names of all Linux packages in the text of a release file: `packages: {ROLE: [NAME, ...]}`, and Kubernetes'."""
    content = yaml.safe_load(text)
    found: set[str] = set()
    for key in ("packages", "kubernetes_packages"):
        roles = content.get(key) if isinstance(content, dict) else None
        for role in ("master", "linux"):
            names = roles.get(role) if isinstance(roles, dict) else None
            found.update(name for name in names or () if isinstance(name, str))
    return tuple(sorted(found))


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
