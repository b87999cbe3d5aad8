"""Simulated twins of the download verbs. Nothing is downloaded: what is pinned is there; what is sent is received."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from plugins.artifacts.mirror import PUSHED
from plugins.simulate.effects import HearBytes, Part
from plugins.simulate.files import Entry, Kind
from plugins.simulate.vocabulary import AS_WANTED, FreeVerb, Seen, StepVerb, Verb, needs
from plugins.steps import Asks, Status

if TYPE_CHECKING:
    from plugins.simulate.play import Play

ARCHITECTURE = "amd64"
STAGED = "/var/lib/ovn-runbooks/staged"
NO_SPACE = "No space left on device"
_PLACED = re.compile(r"artifact (?P<origin>\S+) (?P<sha256>\S*)( from (?P<place>\S+))?\n")


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


def place(play: Play, path: str, mode: str, origin: str, digest: str = "", location: str = "") -> None:
    """Put a file in place: its content says which artifact it is of, and whence it came."""
    state = play.host.state
    content = f"artifact {origin} {digest}{f' from {location}' if location else ''}\n"
    state.files.place(path, Entry(Kind.FILE, mode.removeprefix("0"), "root:root", content, state.next_tick()))


def _look_artifact(play: Play, path: str, mode: str, *places: str) -> Seen:
    found = chosen(places)
    return look_at(play, path, mode, found.sha256, found.sha256) if found else NOTHING


def _act_artifact(play: Play, path: str, mode: str, *places: str) -> None:
    if found := chosen(places):
        place(play, path, mode, found.sha256, found.sha256, found.location)


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


_ARTIFACT = StepVerb(lambda path, *_: f"artifact {path}", _look_artifact, _act_artifact, 2, None, _path)
_ARCHIVE = StepVerb(lambda path, *_: f"artifact {path}", _look_archive, _act_archive, 3, None, _path)


def _waits(play: Play, places: tuple[str, ...], targets: Callable[[str], list[str]]) -> bool:
    """Whether a step has to wait for a file that is to be sent; it is asked for with the others."""
    found = chosen(places)
    if play.dry_run or found is None or not found.location.startswith(PUSHED):
        return False
    paths, files = targets(found.sha256), play.host.state.files
    if f"{STAGED}/{found.sha256}" in files.entries or (paths and all(_is(play, path, found.sha256) for path in paths)):
        return False
    play.wanted.append(f"{found.sha256} {found.location.removeprefix(PUSHED)}\n")
    return True


def _is(play: Play, path: str, origin: str) -> bool:
    entry = play.host.state.files.at(path)
    placed = _PLACED.fullmatch(entry.content) if entry is not None and entry.kind is Kind.FILE else None
    return placed is not None and placed["origin"] == origin


def _artifact(play: Play, path: str, mode: str, *places: str) -> Part:
    if not _waits(play, places, lambda _: [path]):
        yield from play.step(_ARTIFACT, (path, mode, *places))


def _archive(play: Play, folder: str, mode: str, members: str, *places: str) -> Part:
    if not _waits(play, places, lambda origin: _targets(play, folder, members, origin)):
        yield from play.step(_ARCHIVE, (folder, mode, members, *places))


def _sent(play: Play) -> Part:
    if play.wanted:
        yield from play.begin("files of the mirror")
        yield from play.fact("wanted", "".join(play.wanted))
        yield from play.report(Status.CHANGED, asks=Asks.PUSH)
        yield from play.finish()
    if not play.dry_run:
        play.host.state.files.remove(STAGED)


def _receive(play: Play, digest: str, size: str, place: str) -> Part:
    yield from play.begin(f"receive {place}")
    if play.dry_run:
        yield from play.report(Status.WOULD_CHANGE)
        return
    data = (yield HearBytes(int(size))) or b""
    if play.host.strike(("disk-full",), play.script.task, "receive"):
        yield from play.fail("it could not be written", output=f"cannot write: {NO_SPACE}")
    if (seen := sha256(data).hexdigest()) != digest:
        yield from play.fail(
            f"its SHA-256 is {seen}, and {digest} is what is pinned: nothing was replaced; "
            "put the right file there, or pin this one if you trust it (artifacts lock)"
        )
    state = play.host.state
    state.files.place(f"{STAGED}/{digest}", Entry(Kind.FILE, "644", content="sent", changed=state.next_tick()))
    yield from play.report(Status.CHANGED)


def _containerd(play: Play) -> Seen | None:
    if missing := needs(play.host, "ctr"):
        return missing
    return None if play.host.state.running("containerd") else Seen(2, message="containerd does not run")


def _look_image(play: Play, reference: str, *places: str) -> Seen:
    if chosen(places) is None:
        return NOTHING
    if missing := _containerd(play):
        return missing
    return AS_WANTED if reference in play.host.state.images else Seen(1, f"+image {reference}\n")


def _act_image(play: Play, reference: str, *places: str) -> None:  # noqa: ARG001
    play.host.state.images.append(reference)


def _look_inside(play: Play, image: str, *files: str) -> Seen:
    diff = ""
    for path, mode in zip(files[1::3], files[2::3], strict=True):
        seen = look_at(play, path, mode, image.partition("@")[2])
        diff += seen.diff
        if seen.code > 1:
            return Seen(seen.code, diff, seen.message)
        if seen.code:
            play.touched.add(path)
    if not diff:
        return AS_WANTED
    missing = _containerd(play)
    return Seen(2, diff, missing.message) if missing else Seen(1, diff)


def _act_inside(play: Play, image: str, *files: str) -> None:
    for path, mode in zip(files[1::3], files[2::3], strict=True):
        place(play, path, mode, image.partition("@")[2])


_IMAGE = StepVerb(lambda reference, *_: f"image {reference}", _look_image, _act_image, 1, None)


def _image(play: Play, reference: str, *places: str) -> Part:
    if _containerd(play) or reference in play.host.state.images or not _waits(play, places, lambda _: []):
        yield from play.step(_IMAGE, (reference, *places))


VERBS: dict[str, Verb] = {
    "artifact": FreeVerb(_artifact, 2, None),
    "artifact_archive": FreeVerb(_archive, 3, None),
    "artifact_image": FreeVerb(_image, 1, None),
    "artifact_from_image": StepVerb(
        lambda image, *_: f"files of {image.partition('@')[0]}", _look_inside, _act_inside, 1, None
    ),
    "artifacts_sent": FreeVerb(_sent, 0, 0),
    "receive": FreeVerb(_receive, 3, 3),
}
