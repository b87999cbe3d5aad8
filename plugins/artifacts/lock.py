"""Makes pins: from upstream's checksum files and registries, or from what a mirror holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from plugins.artifacts.mirror import Mirror
from plugins.artifacts.model import Artifact, Kind, Platform
from plugins.artifacts.pins import Pins
from plugins.artifacts.web import DownloadError, hash_at, hash_of, image_digest, published_sha256


@dataclass
class Locked:
    """Pins that were made, what was asked for and could not be had, and what is still without a pin."""

    files: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


Say = Callable[[str], None]


def lock_upstream(artifacts: Sequence[Artifact], say: Say) -> Locked:
    """Read every checksum file over HTTPS, and ask registries for digests of images that files are taken out of."""
    locked = Locked()
    for artifact, platform in _all(artifacts):
        if url := artifact.checksum_url(platform):
            source = artifact.source(platform)
            say(url)
            with _noted(locked):
                locked.files[source] = published_sha256(url, source.rpartition("/")[2])
    for reference in dict.fromkeys(each.reference for each in artifacts if each.kind is Kind.CONTAINER_FILE):
        say(reference)
        with _noted(locked):
            locked.images[reference] = image_digest(reference)
    return locked


def lock_mirror(artifacts: Sequence[Artifact], mirror: Mirror, say: Say) -> Locked:
    """Pin what a mirror holds, whatever upstream says."""
    locked = Locked()
    for artifact, platform in _all(artifacts):
        place = artifact.place(platform)
        with _noted(locked):
            if digest := _held(mirror, place):
                say(f"{place}  {digest}")
                locked.files[artifact.source(platform)] = digest
    return locked


def merged(before: Pins, locked: Locked, artifacts: Sequence[Artifact]) -> Pins:
    """Put new pins over those that there were; what the release no longer names goes."""
    sources = {artifact.source(platform) for artifact, platform in _all(artifacts)}
    references = {artifact.reference for artifact in artifacts}
    files, images = {**before.files, **locked.files}, {**before.images, **locked.images}
    return Pins(
        release=before.release,
        files={key: files[key] for key in sorted(files) if key in sources},
        images={key: images[key] for key in sorted(images) if key in references},
    )


def _held(mirror: Mirror, place: str) -> str | None:
    if mirror.folder is None:
        return hash_at(mirror.location(place))
    try:
        return hash_of(mirror.file(place)) if mirror.holds(place) else None
    except OSError as error:
        raise DownloadError(f"{mirror.file(place)}: {error.strerror or error}") from None


def _all(artifacts: Sequence[Artifact]) -> Iterator[tuple[Artifact, Platform]]:
    for artifact in artifacts:
        for platform in artifact.platforms:
            yield artifact, platform


@contextmanager
def _noted(locked: Locked) -> Iterator[None]:
    """Go on with the others where one cannot be had."""
    try:
        yield
    except DownloadError as error:
        locked.problems.append(str(error))
