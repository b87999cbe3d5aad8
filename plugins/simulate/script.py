"""Reads a script as it arrives at a host: only the shipped library and known verbs are taken, nothing is guessed."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256

from plugins.scripts import BODY, END, BodyError, Call, calls, libraries, verbs

_SETTINGS = re.compile(
    r"STEPS_MARK=@[0-9a-f]{8,64} \0STEPS_DRY_RUN=[01]\0STEPS_WAIT=\d+\0STEPS_PATHS=[^\0]*\0STEPS_OWNER=.*", re.DOTALL
)
_PIECES = r"""(?:[\w@%+=:,./-]++|'[^']*'|"'")"""
_PIECE = re.compile(r"""([\w@%+=:,./-]+)|'([^']*)'|"(')\"""", re.ASCII)
_WORD = re.compile(f"{_PIECES}+", re.ASCII)
_LINE = re.compile(f"{_PIECES}+(?: {_PIECES}+)*", re.ASCII)
_OPENING = f"\nsteps_body() {{\n{BODY}\n"
_CLOSING = f"\n{END}\n}}\nsteps_run steps_body"
_KNOWN_MOST = 256  # library texts remembered by hash


class RefusedError(ValueError):
    """A script that a simulated host does not take; the text goes to its standard error."""


@dataclass(frozen=True)
class ReadScript:
    """One script: `task` is the last part of its owner's words, which is the stage that sent it.

    `secrets` are those that came beside it, in their order.
    """

    marker: str
    dry_run: bool
    wait: float
    owner: str
    calls: tuple[Call, ...]
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def task(self) -> str:
        """Name the stage that sent the script."""
        return self.owner.rpartition(", ")[2]


def read_script(data: bytes) -> ReadScript:
    """Take a script apart; RefusedError when anything in it is not the shipped library or a verb call."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(f"the script is not UTF-8 at byte {error.start}") from None
    if "\0" in text:
        raise RefusedError("the script holds a NUL byte")
    header, _, rest = text.partition("\n")
    settings = _settings(header)
    # The library knows no such line, so the first is the one that opens the body.
    library, opening, body = rest.partition(_OPENING)
    if not opening:
        raise RefusedError("the script was cut off, or has no body")
    body, closing, after = body.rpartition(_CLOSING)
    if not closing or after.strip("\n"):
        raise RefusedError("the script was cut off, or goes on after its body")
    found = _calls(body)
    _check_library(library, {verbs()[call.verb] for call in found})
    return ReadScript(
        marker=settings["STEPS_MARK"],
        dry_run=settings["STEPS_DRY_RUN"] == "1",
        wait=float(settings["STEPS_WAIT"]),
        owner=settings["STEPS_OWNER"],
        calls=found,
    )


def words_of(line: str) -> list[str]:
    """Take a line apart, as shlex does in ten times the time; empty for anything but words as `quote` writes them."""
    words = _WORD.findall(line) if _LINE.fullmatch(line) else []
    return ["".join(map("".join, _PIECE.findall(word))) for word in words]


def _settings(header: str) -> dict[str, str]:
    words = words_of(header)
    if not _SETTINGS.fullmatch("\0".join(words)):
        raise RefusedError("the script does not begin with the five STEPS_ settings")
    return dict(word.split("=", 1) for word in words)


def _calls(body: str) -> tuple[Call, ...]:
    try:
        return tuple(calls(f"{body}\n"))
    except BodyError as error:
        raise RefusedError(f"body: {error}") from None


def _check_library(text: str, needed: set[str]) -> None:
    missing = needed - _files_in(text)
    if missing:
        raise RefusedError(f"verbs of {', '.join(sorted(missing))}.sh are called, which the script does not have")


_known: OrderedDict[bytes, frozenset[str]] = OrderedDict()


def _files_in(text: str) -> frozenset[str]:
    """Name the library files that `text` is made of; RefusedError when it is not made of them byte by byte."""
    digest = sha256(text.encode()).digest()
    if digest not in _known:
        _known[digest] = _split(text)
        if len(_known) > _KNOWN_MOST:
            _known.popitem(last=False)
    return _known[digest]


def _split(text: str) -> frozenset[str]:
    rest, found = text, set()
    for name, shipped in _shipped().items():
        if rest == shipped or rest.startswith(f"{shipped}\n"):
            rest = rest[len(shipped) + 1 :]
            found.add(name)
    if rest or "steps" not in found:
        line = text.count("\n") - rest.count("\n") + 1
        raise RefusedError(f"the library differs from the one that ships, from its line {line} on")
    return frozenset(found)


@cache
def _shipped() -> dict[str, str]:
    return libraries()
