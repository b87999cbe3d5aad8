"""The simulated file system: what the file verbs of the library can see and change, and no more."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a path is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


@dataclass
class Entry:
    """One path: `content` is a file's text or a link's target, `changed` the host's tick of its last change."""

    kind: Kind
    mode: str = "755"
    owner: str = "root:root"
    content: str = ""
    changed: int = 0


@dataclass
class Files:
    """Absolute paths and what they are. Folders on the way to a file are made as `mkdir -p` does it."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def at(self, path: str) -> Entry | None:
        """Give the path itself, a link not followed."""
        return self.entries.get(_plain(path))

    def behind(self, path: str) -> Entry | None:
        """Give what the path leads to, links followed; None for a broken link."""
        for _ in range(40):
            entry = self.at(path)
            if entry is None or entry.kind is not Kind.LINK:
                return entry
            path = posixpath.join(posixpath.dirname(_plain(path)), entry.content)
        return None

    def place(self, path: str, entry: Entry) -> None:
        """Put `entry` at `path`, whatever was there; its folders are made where they are missing."""
        path = _plain(path)
        folder = posixpath.dirname(path)
        if folder not in self.entries and folder != path:
            self.place(folder, Entry(Kind.DIRECTORY, changed=entry.changed))
        self.entries[path] = entry

    def remove(self, path: str) -> None:
        """Take away a path and all below it."""
        path = _plain(path)
        for each in [each for each in self.entries if each == path or each.startswith(f"{path}/")]:
            del self.entries[each]

    def text(self, path: str) -> str | None:
        """Give the content of the file that the path leads to, or None."""
        entry = self.behind(path)
        return entry.content if entry is not None and entry.kind is Kind.FILE else None


def _plain(path: str) -> str:
    return posixpath.normpath(path)
