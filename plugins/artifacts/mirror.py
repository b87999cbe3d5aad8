"""A mirror of all downloads, as `--mirror` names it: a folder on this machine, or a URL that the hosts reach."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from plugins.errors import SelectionError
from plugins.words import quoted

URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~+@:/-]*)?")
PUSHED = "push:"


@dataclass(frozen=True)
class Mirror:
    """Holds each file at HOST/PATH of its upstream address. Exactly one of the two fields is set."""

    folder: Path | None = None
    url: str = ""

    def __str__(self) -> str:
        return self.url or str(self.folder)

    def location(self, place: str) -> str:
        """Say to a host where it finds a place: an address, or push: and the place, which it asks us for."""
        return f"{self.url}/{place}" if self.url else f"{PUSHED}{place}"

    def file(self, place: str) -> Path:
        """Give the file of a place in a mirror folder."""
        assert self.folder is not None
        return self.folder / place

    def holds(self, place: str) -> bool | None:
        """Whether a place is there; None for a URL, which only its hosts need to reach."""
        return None if self.folder is None else self.file(place).is_file()


def mirror_of(given: str) -> Mirror | None:
    """Understand `--mirror`; nothing for an empty one. Raises SelectionError."""
    if not given:
        return None
    if "://" in given:
        if not URL.fullmatch(given):
            raise SelectionError(f"--mirror {quoted(given)}: write http(s)://HOST/PATH, without user, query and spaces")
        return Mirror(url=given.rstrip("/"))
    folder = Path(given).expanduser().absolute()
    if not folder.is_dir():
        raise SelectionError(f"--mirror {quoted(given)}: there is no such folder; `runbooks.artifacts fetch` makes one")
    return Mirror(folder=folder)
