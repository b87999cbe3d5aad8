"""What the hosts of a role get from where: a release's artifacts with their pins and a mirror filled in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from plugins.artifacts.mirror import Mirror
from plugins.artifacts.model import Artifact, Kind, Platform
from plugins.artifacts.pins import Pins
from plugins.errors import SettingsError
from plugins.inventory.model import Role

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

    def check(self, artifacts: Iterable[Artifact]) -> None:
        """Refuse to start without a pin that these need. Raises SettingsError, which names them all."""
        if problems := [problem for each in artifacts for problem in self._problems(each)]:
            raise SettingsError("\n".join(problems))

    def _problems(self, artifact: Artifact) -> Iterator[str]:
        command = self.lock_command
        named = f"{artifact.name} {artifact.version}"
        if self.sources(artifact):
            return
        held = [each for each in artifact.platforms if self.mirror and self.mirror.holds(artifact.place(each))]
        if held and self.mirror:
            yield f"{named}: {self.mirror} holds it, and it is not pinned: run `{command} --mirror {self.mirror}`"
        elif artifact.kind is Kind.CONTAINER_FILE and not self.pins.digest(artifact):
            yield f"{named}: the image {artifact.reference} is not pinned: run `{command}`"
        elif artifact.kind in PLAIN and artifact.provide and not self.mirror:
            place = artifact.place(artifact.platforms[0])
            yield f"{named} is published nowhere: put it into a mirror at {place} and give --mirror (docs/artifacts.md)"
        elif artifact.kind in PLAIN and self.mirror and self.mirror.folder:
            places = " or ".join(artifact.place(each) for each in artifact.platforms)
            yield f"{named} is not pinned, and {self.mirror} does not hold {places}: put it there, or run `{command}`"
        elif artifact.kind in PLAIN:
            mirror = f" --mirror {self.mirror}" if self.mirror else ""
            yield f"{named} is not pinned ({artifact.source(artifact.platforms[0])}): run `{command}{mirror}`"
