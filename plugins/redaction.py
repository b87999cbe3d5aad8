"""Finding registered secrets in a text, in all the forms in which they may turn up there."""

from __future__ import annotations

import base64
import json
import shlex
import threading
from collections.abc import Iterator
from urllib.parse import quote

MASK = "***"
SHORTEST = 4  # characters; a shorter value would black out ordinary text
SHORTEST_PIECE = 8  # characters of a part of a value; shorter ones match by chance


class Redactor:
    """Replaces every registered value by ***. Safe to use from many threads.

    Forms are found by their first SHORTEST characters, so that a text costs the same for three secrets as for
    the keys and passwords of a thousand hosts.
    """

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._lengths: dict[str, frozenset[int]] = {}  # of the forms that begin with these characters
        self._lock = threading.Lock()

    def register(self, value: str) -> None:
        """Remember a value, and the longer lines of one with many, as logs are redacted line by line."""
        if len(value) < SHORTEST:
            return
        lines = [line for line in value.splitlines() if SHORTEST_PIECE < len(line) < len(value)]
        with self._lock:
            for form in (form for one in (value, *lines) for form in _forms(one)):
                self._forms.add(form)
                lengths = self._lengths.get(form[:SHORTEST], frozenset())
                if len(form) not in lengths:
                    self._lengths[form[:SHORTEST]] = lengths | {len(form)}

    def redact(self, text: str) -> str:
        """Return `text` without any registered value; overlapping ones become one ***."""
        pieces, end = [], 0
        for start, stop in self._spans(text):
            if start >= end:
                pieces += [text[end:start], MASK]
            end = max(end, stop)
        return "".join((*pieces, text[end:]))

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Find where registered forms stand, in the order of their starts."""
        heads = self._lengths
        last = len(text) - SHORTEST if heads else -1
        for start in [place for place in range(last + 1) if text[place : place + SHORTEST] in heads]:
            for length in heads[text[start : start + SHORTEST]]:
                if text[start : start + length] in self._forms:
                    yield start, start + length


def _forms(value: str) -> Iterator[str]:
    """Yield the value as it stands in shell and PowerShell words, JSON, URLs and base64."""
    yield value
    yield shlex.quote(value)
    if "'" in value:
        yield value.replace("'", "'\"'\"'")  # the inside of a word that shlex quoted
        yield value.replace("'", "'\\''")  # as `bash -x` shows it
        yield value.replace("'", "''")  # PowerShell
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="", errors="surrogatepass")
    for encoding in ("utf-8", "utf-16-le"):  # the latter is PowerShell's -EncodedCommand
        data = value.encode(encoding, errors="surrogatepass")
        for form in (base64.b64encode(data).decode(), *_inner_base64(data)):
            yield form
            yield form.translate(str.maketrans("+/", "-_"))


def _inner_base64(data: bytes) -> Iterator[str]:
    """Yield what base64 makes of the value at any place of a longer text, such as `user:password`.

    Three bytes become four characters, so there are three alignments; characters that share bits with the
    neighbours are left out.
    """
    for before in range(3):
        characters = base64.b64encode(bytes(before) + data).decode()
        piece = characters[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        if len(piece) >= SHORTEST_PIECE:
            yield piece
