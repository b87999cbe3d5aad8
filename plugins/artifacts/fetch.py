"""Makes a folder that serves as a mirror: each file at HOST/PATH of its address, resumed, verified, whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from plugins.artifacts.model import Artifact, Platform
from plugins.artifacts.plan import Downloads
from plugins.artifacts.web import DownloadError, download, hash_of
from plugins.errors import SelectionError
from plugins.words import quoted, suggestion


@dataclass
class Fetched:
    """What went wrong, and what nobody publishes as a plain file: its places in the mirror."""

    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def fetch_all(downloads: Downloads, folder: Path, platforms: tuple[str, ...], say: Callable[[str], None]) -> Fetched:
    """Download what is not there yet. Raises SelectionError for a platform that is none."""
    known = [platform.value for platform in Platform]
    for name in platforms:
        if name not in known:
            raise SelectionError(f"--platform {quoted(name)}: {suggestion(name, known, 'there are')}")
    done = Fetched()
    for artifact in downloads.artifacts:
        for platform in artifact.platforms:
            if not platforms or platform in platforms:
                _fetch(downloads, artifact, platform, folder, done, say)
    return done


def _fetch(
    downloads: Downloads,
    artifact: Artifact,
    platform: Platform,
    folder: Path,
    done: Fetched,
    say: Callable[[str], None],
) -> None:
    place, digest = artifact.place(platform), downloads.pins.of(artifact, platform)
    file = folder / place
    if platform not in artifact.urls:
        if not file.is_file():
            done.missing.append(place)
        return
    if not digest:
        done.problems.append(f"{artifact.source(platform)}: not pinned: run `{downloads.lock_command}`")
        return
    try:
        if file.is_file() and hash_of(file) == digest:
            say(f"{place}: there")
            return
        download(artifact.source(platform), file, digest)
        say(f"{place}: downloaded")
    except DownloadError as error:
        done.problems.append(str(error))
    except OSError as error:
        done.problems.append(f"{error.filename or file}: {error.strerror or error}")
