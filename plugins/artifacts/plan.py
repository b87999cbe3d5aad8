"""What the hosts of a role get from where: a release's artifacts with their pins and a mirror filled in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from plugins.artifacts.mirror import Mirror, mirror_of
from plugins.artifacts.model import Artifact, Kind, Platform
from plugins.artifacts.pins import Pins
from plugins.errors import SettingsError
from plugins.inventory.model import HostSettings, Role

PLAIN = frozenset({Kind.FILE, Kind.ARCHIVE})


@dataclass(frozen=True)
class Source:
    """One file for one architecture (amd64, arm64). `location` is an address, or push: and a place in a mirror."""

    architecture: str
    sha256: str
    location: str


@dataclass(frozen=True)
class Downloads:
    """A release's downloads, what is known about them, and where they come from: upstream, or `mirror`."""

    artifacts: Sequence[Artifact] = ()
    pins: Pins = field(default_factory=lambda: Pins(release="none"))
    mirror: Mirror | None = None
    lock_command: str = "python -m runbooks.artifacts lock"

    def of(self, role: Role, kinds: Iterable[Kind] = tuple(Kind)) -> tuple[Artifact, ...]:
        """Give the artifacts that hosts of a role need."""
        return tuple(each for each in self.artifacts if role in each.roles and each.kind in kinds)

    def sources(self, artifact: Artifact) -> tuple[Source, ...]:
        """Give where hosts get the artifact's file, for each architecture that is pinned and can be had."""
        return tuple(
            Source(platform.architecture, sha256, self._location(artifact, platform))
            for platform in artifact.platforms
            if (sha256 := self.pins.of(artifact, platform)) and (self.mirror or platform in artifact.urls)
        )

    def _location(self, artifact: Artifact, platform: Platform) -> str:
        return self.mirror.location(artifact.place(platform)) if self.mirror else artifact.source(platform)

    def as_file(self, artifact: Artifact) -> bool:
        """Whether hosts get it as a plain file, and not out of an image or, as an image, from a registry."""
        return artifact.kind in PLAIN or bool(self.sources(artifact))

    def for_host(self, host: HostSettings) -> Downloads:
        """Give these downloads as one host gets them: a Windows host may have a mirror of its own."""
        own = host.mirror if host.role is Role.WINDOWS else None
        return replace(self, mirror=mirror_of(own)) if own else self

    def check(self, artifacts: Iterable[Artifact]) -> None:
        """Refuse to start without a pin that these need. Raises SettingsError, which names them all."""
        if lines := self.missing(artifacts):
            raise SettingsError("\n".join(lines))

    def missing(self, artifacts: Iterable[Artifact]) -> list[str]:
        """Say what keeps hosts from getting these, one line for each remedy; nothing where all can be had."""
        found: dict[str, list[tuple[str, str]]] = {}
        for artifact in artifacts:
            if (problem := self._problem(artifact)) is not None:
                seen, todo = problem
                found.setdefault(todo, []).append((f"{artifact.name} {artifact.version}", seen))
        return list(map(_told, found.values(), found))

    def _problem(self, artifact: Artifact) -> tuple[str, str] | None:
        """Say what keeps hosts from getting it, and what to do; None where nothing does."""
        command, mirror = self.lock_command, self.mirror
        plain, places = artifact.kind in PLAIN, " or ".join(artifact.place(each) for each in artifact.platforms)
        if self.sources(artifact) or artifact.kind is Kind.IMAGE or self.pins.digest(artifact):
            return None
        if mirror and any(mirror.holds(artifact.place(each)) for each in artifact.platforms):
            return f"not pinned, and {mirror} holds it", f"run `{command} --mirror {mirror}`"
        if mirror is None and any(self.pins.of(artifact, each) for each in artifact.platforms):
            return "pinned in a mirror, and none is given", "give it, as --mirror URL_OR_DIR"
        if plain and artifact.provide and mirror is None:
            return "published nowhere", f"put it into a mirror at {places} and give --mirror (docs/artifacts.md)"
        if plain and mirror and mirror.folder:
            return f"not pinned, and not in {mirror}", f"put it there at {places}, or run `{command}`"
        if plain:
            return "not pinned", f"run `{command}{f' --mirror {mirror}' if mirror else ''}`"
        return "not pinned", f"run `{command}`"


def _told(problems: Sequence[tuple[str, str]], todo: str) -> str:
    """Name what has the same remedy in one line."""
    names = ", ".join(name for name, _ in problems)
    return f"{names}: {' or '.join(dict.fromkeys(seen for _, seen in problems))}; {todo}"
