"""Simulated twins of the download verbs: artifact artifact_archive. Nothing is downloaded: what is pinned is there."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from plugins.simulate.files import Entry, Kind
from plugins.simulate.vocabulary import AS_WANTED, Seen, StepVerb, Verb

if TYPE_CHECKING:
    from plugins.simulate.play import Play

ARCHITECTURE = "amd64"
_PLACED = re.compile(r"artifact (?P<origin>\S+) (?P<sha256>\S*)\n")


class Chosen(NamedTuple):
    """What is there for the host's architecture."""

    sha256: str
    location: str


def chosen(places: tuple[str, ...]) -> Chosen | None:
    """Give the place for the host's architecture out of ARCHITECTURE SHA256 LOCATION..."""
    found = dict(zip(places[::3], zip(places[1::3], places[2::3], strict=True), strict=True))
    return Chosen(*found[ARCHITECTURE]) if ARCHITECTURE in found else None


NOTHING = Seen(3, message=f"nothing for linux/{ARCHITECTURE} is pinned")


def look_at(play: Play, path: str, mode: str, origin: str, digest: str = "") -> Seen:
    """Compare one file with what it is to be; `digest` is its own SHA-256, where that is known."""
    entry = play.host.state.files.at(path)
    if entry is not None and entry.kind is Kind.DIRECTORY:
        return Seen(3, message=f"{path} is a folder")
    placed = _PLACED.fullmatch(entry.content) if entry is not None and entry.kind is Kind.FILE else None
    if entry is None or placed is None or placed["origin"] != origin:
        seen = "(missing)" if entry is None else "(a symbolic link)" if entry.kind is Kind.LINK else _digest(entry)
        return Seen(1, f"-{path}: {seen}\n+{path}: {digest or f'from {origin}'}\n")
    owned, wanted = f"{entry.mode} {entry.owner}", f"{mode.removeprefix('0')} root:root"
    if owned == wanted:
        return AS_WANTED
    return Seen(1, f"-{path}: mode and owner {owned}\n+{path}: mode and owner {wanted}\n")


def _digest(entry: Entry) -> str:
    placed = _PLACED.fullmatch(entry.content)
    return placed["sha256"] if placed else sha256(entry.content.encode()).hexdigest()


def place(play: Play, path: str, mode: str, origin: str, digest: str = "") -> None:
    """Put a file in place: its content says which artifact it is of."""
    state = play.host.state
    content = f"artifact {origin} {digest}\n"
    state.files.place(path, Entry(Kind.FILE, mode.removeprefix("0"), "root:root", content, state.next_tick()))


def _look_artifact(play: Play, path: str, mode: str, *places: str) -> Seen:
    found = chosen(places)
    return look_at(play, path, mode, found.sha256, found.sha256) if found else NOTHING


def _act_artifact(play: Play, path: str, mode: str, *places: str) -> None:
    if found := chosen(places):
        place(play, path, mode, found.sha256, found.sha256)


def _targets(play: Play, folder: str, members: str, origin: str) -> list[str]:
    if members:
        return [f"{folder}/{member.rpartition('/')[2]}" for member in members.split()]
    entries = play.host.state.files.entries
    return [path for path, entry in entries.items() if path.startswith(f"{folder}/") and f" {origin} " in entry.content]


def _look_archive(play: Play, folder: str, mode: str, members: str, *places: str) -> Seen:
    found = chosen(places)
    if found is None:
        return NOTHING
    targets = _targets(play, folder, members, found.sha256)
    if not targets:
        return Seen(1, f"+{folder}: all files of the archive {found.sha256}\n")
    diff = ""
    for target in targets:
        seen = look_at(play, target, mode, found.sha256)
        diff += seen.diff
        if seen.code > 1:
            return Seen(seen.code, diff, seen.message)
        if seen.code:
            play.touched.add(target)
    return Seen(1, diff) if diff else AS_WANTED


def _act_archive(play: Play, folder: str, mode: str, members: str, *places: str) -> None:
    if found := chosen(places):
        for target in _targets(play, folder, members or "file", found.sha256):
            place(play, target, mode, found.sha256)


def _path(path: str, *_: str) -> str:
    return path


VERBS: dict[str, Verb] = {
    "artifact": StepVerb(lambda path, *_: f"artifact {path}", _look_artifact, _act_artifact, 2, None, _path),
    "artifact_archive": StepVerb(lambda path, *_: f"artifact {path}", _look_archive, _act_archive, 3, None, _path),
}
