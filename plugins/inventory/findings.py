"""One thing that is wrong in a file: where it was written, what is wrong, what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from plugins.words import plain

_SECRET_KEY = re.compile(r"passw|passphrase|passwd|pwd|secret|token|credential|private_?key|api_?key", re.IGNORECASE)
# Below a key for a secret only these are shown: anything else may be the secret, written in the wrong place.
_SOURCES = frozenset({"env", "file", "command"})
HIDDEN = "(hidden)"


@dataclass(frozen=True)
class Finding:
    """`subject` is a host, a group, "defaults", or nothing; `key` is dotted, as in data.ssh.password."""

    file: str
    subject: str
    key: str
    problem: str
    todo: str = ""

    def __str__(self) -> str:
        said = "; ".join(part for part in (self.problem, self.todo) if part)
        return ": ".join(part for part in (self.file, self.subject, self.key, said) if part)


def is_secret(path: Sequence[str]) -> bool:
    """Whether a key on the path looks like the place of a secret; what stands there is never shown."""
    return any(_SECRET_KEY.search(key) for key in path)


def shown(path: Sequence[str]) -> str:
    """Join keys to what an error shows; below a key for a secret unknown ones are hidden."""
    keys = [
        HIDDEN if is_secret(path[:place]) and key not in _SOURCES and not key.isdecimal() else plain(key)
        for place, key in enumerate(path)
    ]
    return ".".join(keys)
