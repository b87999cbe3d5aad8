"""Pins: which bytes each download has to be. They live in a lock file beside the release."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from plugins.artifacts.model import Artifact, Digest, Platform, Sha256
from plugins.errors import SettingsError
from plugins.inventory.documents import read
from plugins.inventory.explain import explained
from plugins.inventory.fields import Name, Word
from plugins.inventory.model import Model

SUFFIX = ".lock"


class Pins(Model):
    """Pins of one release: SHA-256 by address (or place in a mirror), digest by image reference."""

    release: Name = Field(description="the release that the pins are for")
    files: Mapping[Word, Sha256] = {}
    images: Mapping[Word, Digest] = {}

    def of(self, artifact: Artifact, platform: Platform) -> str:
        """Give the SHA-256 of an artifact's file for a platform; empty where it is not pinned."""
        literal = artifact.sha256.get(platform)
        return literal or self.files.get(artifact.source(platform), "")

    def digest(self, artifact: Artifact) -> str:
        """Give the digest of an artifact's image, sha256: in front; empty where it is not pinned."""
        return self.images.get(artifact.reference, "")


def lock_file(release: str, folder: Path) -> Path:
    """Name the lock file of a release in an inventory folder."""
    return folder / "releases" / f"{release}{SUFFIX}.yaml"


def load_pins(release: str, *folders: Path) -> Pins:
    """Read the lock file of the first inventory folder that has one; no file is no pins. Raises SettingsError."""
    file = next((file for folder in folders if (file := lock_file(release, folder)).exists()), None)
    if file is None:
        return Pins(release=release)
    document = read(file, "a release's pins", subject="")
    findings = list(document.findings)
    if document.data is not None:
        try:
            pins = Pins.model_validate(document.data)
        except ValidationError as error:
            findings += explained(document, error, Pins)
        else:
            if pins.release != release:
                findings.append(document.finding(("release",), f"not the release {release}", "make the file anew"))
            if not findings:
                return pins
    raise SettingsError("\n".join(map(str, findings)))


def save_pins(pins: Pins, file: Path, command: str) -> None:
    """Write a lock file as a whole; `command` is what made it."""
    words = f"# Pins of the release {pins.release}, made by `{command}` on {datetime.now(UTC):%F}.\n"
    content = {"release": pins.release, "files": dict(pins.files), "images": dict(pins.images)}
    new = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(words + yaml.safe_dump(content, sort_keys=False, width=1000))
        new.replace(file)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be written: {error.strerror or error}") from None
