"""Releases: what to install, as data. A release is one file, and its name is the file's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, StrictInt, StrictStr, ValidationError
from pydantic_core import PydanticCustomError

from plugins.artifacts.model import Artifact, Kind
from plugins.artifacts.pins import SUFFIX
from plugins.errors import SettingsError
from plugins.inventory.documents import read
from plugins.inventory.explain import explained
from plugins.inventory.fields import Name, Word
from plugins.inventory.model import Model, Role
from plugins.words import quoted, suggestion

_ByRole = TypeVar("_ByRole", bound=Mapping[Role, Any])
SHIPPED = Path(__file__).resolve().parent.parent / "inventory"


class Platform(Model):
    """One operating system, by ID and VERSION_ID of its /etc/os-release."""

    id: Word
    versions: Annotated[tuple[StrictStr, ...], Field(min_length=1)]


def _build(value: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?", value):
        message = "{value} is no build; write BUILD, or BUILD.REVISION for that revision and later ones"
        raise PydanticCustomError("build", message, {"value": quoted(value)})
    return value


WindowsBuild = Annotated[StrictStr, AfterValidator(_build)]


class Requirements(Model):
    """The least that a host must have."""

    cpus: Annotated[StrictInt, Field(ge=1)]
    memory_mib: Annotated[StrictInt, Field(ge=1, description="Memory that the kernel reports, in MiB.")]
    disk_mib: Annotated[StrictInt, Field(ge=1, description="Free space below /var, in MiB.")]


def _has_linux_roles(by_role: _ByRole) -> _ByRole:
    missing = [role.value for role in (Role.MASTER, Role.LINUX) if role not in by_role]
    if missing:
        message = "nothing for the role {role}; write it"
        raise PydanticCustomError("role", message, {"role": " and ".join(missing)})
    return by_role


def _named_once(artifacts: tuple[Artifact, ...]) -> tuple[Artifact, ...]:
    names = [artifact.name for artifact in artifacts]
    for name in names:
        if names.count(name) > 1:
            raise PydanticCustomError("twice", "{name} is there twice; give each its own name", {"name": name})
    return artifacts


class Release(Model):
    """What one release installs where."""

    name: Name
    platforms: Annotated[tuple[Platform, ...], Field(min_length=1)]
    kubernetes_platforms: tuple[Platform, ...] = Field(
        default=(), description="Those of the platforms that Kubernetes can be set up on."
    )
    packages: Annotated[Mapping[Role, tuple[Word, ...]], AfterValidator(_has_linux_roles)]
    kubernetes_packages: Annotated[Mapping[Role, tuple[Word, ...]], AfterValidator(_has_linux_roles)]
    kernel_modules: tuple[Word, ...]
    windows_builds: tuple[WindowsBuild, ...] = ()
    requirements: Annotated[Mapping[Role, Requirements], AfterValidator(_has_linux_roles)]
    artifacts: Annotated[tuple[Artifact, ...], AfterValidator(_named_once)] = ()

    def image(self, name: str) -> str:
        """Give the reference of the image that is called so among the artifacts. Raises SettingsError without one."""
        for artifact in self.artifacts:
            if artifact.name == name and artifact.kind is Kind.IMAGE:
                return artifact.reference
        raise SettingsError(f"the release {self.name} names no image {name}; write it among its artifacts")

    def version(self, name: str) -> str:
        """Give the version of the artifact that is called so. Raises SettingsError without one."""
        for artifact in self.artifacts:
            if artifact.name == name:
                return artifact.version
        raise SettingsError(f"the release {self.name} names no {name}; write it among its artifacts")

    def packages_for(self, role: Role, *, kubernetes: bool) -> tuple[str, ...]:
        """Give the packages of a role, NAME or NAME=VERSION; those of Kubernetes too, where that is wanted."""
        more = self.kubernetes_packages.get(role, ()) if kubernetes else ()
        return (*self.packages.get(role, ()), *more)

    def platforms_for(self, *, kubernetes: bool) -> tuple[str, ...]:
        """Name the platforms, as ID and VERSION_ID of an /etc/os-release: "debian 13"."""
        platforms = self.kubernetes_platforms if kubernetes else self.platforms
        return tuple(f"{each.id} {version}" for each in platforms for version in each.versions)


def known_releases(inventory_folder: Path) -> dict[str, Path]:
    """Map the names of all releases to their files; the inventory's own come before the shipped ones."""
    folders = (inventory_folder / "releases", SHIPPED / "releases")
    found: dict[str, Path] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.yaml")):
            if not file.stem.endswith(SUFFIX):
                found.setdefault(file.stem, file)
    return found


def load_release(name: str, inventory_folder: Path) -> Release:
    """Read a release; SettingsError for an unknown one and for everything that is wrong in its file."""
    files = known_releases(inventory_folder)
    if name not in files:
        raise SettingsError(f"there is no release {quoted(name)}; {suggestion(name, list(files), 'known releases')}")
    document = read(files[name], "a release", subject="")
    findings = list(document.findings)
    if document.data is not None:
        try:
            release = Release.model_validate(document.data)
        except ValidationError as error:
            findings += explained(document, error, Release)
        else:
            if release.name != name:
                findings.append(
                    document.finding(("name",), f"{quoted(release.name)} is not the file's name", f"write {name}")
                )
            if not findings:
                return release
    raise SettingsError("\n".join(map(str, findings)))
