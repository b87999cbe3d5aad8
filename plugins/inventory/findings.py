"""One thing that is wrong in a file: where it was written, what is wrong, what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from plugins.words import plain

_SECRET_KEY = re.compile(r"passw|passphrase|passwd|pwd|secret|token|credential|private_?key|api_?key", re.IGNORECASE)
# Below a key for a secret only these are shown: anything else may be the secret, written in the wrong place.
_SOURCES = frozenset({"env", "file", "command"})
_NAME = re.compile(r"[A-Za-z_-]+")
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
    return ".".join(_shown(path[:place], key) for place, key in enumerate(path))


def _shown(above: Sequence[str], key: str) -> str:
    if is_secret(above):
        return key if key in _SOURCES or key.isdecimal() else HIDDEN
    if is_secret([key]):  # `password hunter2` without its colon is a key
        name = _NAME.match(key)
        return plain(key) if name and name[0] == key else (name[0] if name else "") + HIDDEN
    return plain(key)
