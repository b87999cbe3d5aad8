"""Simulated twins of the verbs for files: file secret_file directory absent ensure show_file inspect_pairs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plugins.simulate.effects import Part
from plugins.simulate.files import Entry, Kind
from plugins.simulate.vocabulary import AS_WANTED, ActFailedError, FreeVerb, Seen, StepVerb, Verb
from plugins.simulate.windows.difference import difference
from plugins.simulate.windows.state import where
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.play import Play

LONGEST_FILE = 65536  # characters
INHERITED, PROTECTED = "inherited", "protected"
_SECRET = re.compile(r"secret:(\d+)")


def at(play: Play, path: str) -> Entry | None:
    """Give what is at a Windows path."""
    return play.host.state.files.at(where(path))


def place(play: Play, path: str, content: str, access: str = "") -> None:
    """Write a file as a whole; one that is replaced keeps its access unless another is given."""
    old = at(play, path)
    mode = access or (old.mode if old else INHERITED)
    entry = Entry(Kind.FILE, mode, "", content, play.host.state.next_tick())
    play.host.state.files.place(where(path), entry)


def secret(play: Play, word: str) -> str:
    """Give what a word stands for; a ValueError or IndexError is a mistake in whoever made the script."""
    match = _SECRET.fullmatch(word)
    if match is None:
        raise ValueError(f"{word} is no secret")
    return play.script.secrets[int(match[1])]


def _look_file(play: Play, path: str, content: str) -> Seen:
    entry = at(play, path)
    if entry is not None and entry.kind is Kind.DIRECTORY:
        return Seen(3, message=f"{path} is a folder")
    if entry is not None and entry.content == content:
        return AS_WANTED
    old, label = (entry.content, path) if entry is not None else ("", "nothing")
    diff = difference(old, content, label, path)
    return Seen(1, diff, "" if diff else "the bytes differ, the text does not")


def _act_file(play: Play, path: str, content: str) -> None:
    place(play, path, content)


def _look_secret(play: Play, path: str, word: str) -> Seen:
    entry = at(play, path)
    if entry is not None and entry.kind is Kind.DIRECTORY:
        return Seen(3, message=f"{path} is a folder")
    if entry is None or entry.content != secret(play, word):
        return Seen(1, message="the content differs (not shown)")
    return _look_access(entry, path, PROTECTED)


def _act_secret(play: Play, path: str, word: str) -> None:
    place(play, path, secret(play, word), PROTECTED)


def _access_of(entry: Entry) -> str:
    """Tell who may enter; an owner other than the administrators, who have no name here, could change that."""
    return PROTECTED if (entry.mode, entry.owner) == (PROTECTED, "") else INHERITED


def _look_access(entry: Entry, path: str, access: str) -> Seen:
    if access != PROTECTED or _access_of(entry) == PROTECTED:
        return AS_WANTED
    return Seen(1, f"-{path}: inherited\n+{path}: protected\n")


def _look_directory(play: Play, path: str, access: str) -> Seen:
    entry = at(play, path)
    if entry is not None and entry.kind is Kind.FILE:
        return Seen(3, message=f"{path} is not a folder")
    if entry is None:
        return Seen(1, f"-{path}: (missing)\n+{path}: {access}\n")
    if access == PROTECTED and entry.kind is Kind.LINK:
        return Seen(3, message=f"{path} is a link to another place")
    return _look_access(entry, path, access)


def _act_directory(play: Play, path: str, access: str) -> None:
    state = play.host.state
    if (entry := at(play, path)) is None:
        entry = Entry(Kind.DIRECTORY, INHERITED, "")
        state.files.place(where(path), entry)
    if access == PROTECTED:
        _take_over(play, path)
        entry.mode, entry.owner = PROTECTED, ""
    entry.changed = state.next_tick()


def _take_over(play: Play, path: str) -> None:
    """Take what is in a folder from whoever owns it; folders and files that are protected already stay so."""
    folder, kept = f"{where(path)}/", ""
    for name, entry in sorted(play.host.state.files.entries.items()):
        if not name.startswith(folder) or (kept and name.startswith(kept)):
            continue
        if entry.kind is Kind.LINK:
            raise ActFailedError(f"{name} is a link to another place: take it away")
        if _access_of(entry) == PROTECTED:
            kept = f"{name}/"
        else:
            entry.mode, entry.owner = INHERITED, ""


def _look_absent(play: Play, path: str) -> Seen:
    return AS_WANTED if at(play, path) is None else Seen(1, f"-{path}\n")


def _act_absent(play: Play, path: str) -> None:
    play.host.state.files.remove(where(path))


def _look_ensure(play: Play, name: str, guard: str, act: str) -> Seen:  # noqa: ARG001  # the three words are one thing
    return AS_WANTED if f"{guard}\n{act}" in play.host.state.ensured else Seen(1)


def _act_ensure(play: Play, name: str, guard: str, act: str) -> None:  # noqa: ARG001
    play.host.state.ensured.append(f"{guard}\n{act}")


def _show_file(play: Play, fact: str, path: str) -> Part:
    yield from play.begin(f"read {path}")
    entry = at(play, path)
    yield from play.fact(fact, entry.content[:LONGEST_FILE] if entry and entry.kind is Kind.FILE else "")
    yield from play.report(Status.OK)


def _inspect_pairs(play: Play, *words: str) -> Part:
    yield from play.begin("inspect certificates")
    for name, certificate, key, authority in zip(*(words[place::4] for place in range(4)), strict=True):
        for kind, path in (("certificate", certificate), ("authority", authority)):
            yield from play.fact(f"{kind}_{name}", (play.host.state.files.text(where(path)) or "")[:LONGEST_FILE])
        entry = at(play, key)
        yield from play.fact(f"key_mode_{name}", _access_of(entry) if entry else "(missing)")
    yield from play.report(Status.OK)


def _path(path: str, *_: str) -> str:
    return path


VERBS: dict[str, Verb] = {
    "file": StepVerb(lambda path, *_: f"file {path}", _look_file, _act_file, 2, 2, _path),
    "secret_file": StepVerb(lambda path, *_: f"file {path}", _look_secret, _act_secret, 2, 2, _path),
    "directory": StepVerb(lambda path, *_: f"directory {path}", _look_directory, _act_directory, 2, 2, _path),
    "absent": StepVerb(lambda path: f"absent {path}", _look_absent, _act_absent, 1, 1, _path),
    "ensure": StepVerb(lambda name, *_: name, _look_ensure, _act_ensure, 3, 3),
    "show_file": FreeVerb(_show_file, 2, 2),
    "inspect_pairs": FreeVerb(_inspect_pairs, 0, None),
}
