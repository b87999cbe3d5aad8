"""Simulated twins of the file verbs: file secret_file line directory link absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.simulate.differences import unified
from plugins.simulate.files import Entry, Kind
from plugins.simulate.vocabulary import AS_WANTED, ActFailedError, Seen, StepVerb, Verb

if TYPE_CHECKING:
    from plugins.simulate.play import Play


def _look_file(play: Play, path: str, mode: str, owner: str, content: str) -> Seen:
    return _look_content(play, path, mode, owner, content)


def _look_secret(play: Play, path: str, mode: str, owner: str, content: str) -> Seen:
    seen = _look_content(play, path, mode, owner, content)
    entry = play.host.state.files.at(path)
    differs = entry is None or entry.kind is not Kind.FILE or entry.content != content
    return Seen(seen.code, message="the content differs (not shown)") if seen.code == 1 and differs else seen


def _look_content(play: Play, path: str, mode: str, owner: str, content: str) -> Seen:
    entry = play.host.state.files.at(path)
    wanted = f"{mode.removeprefix('0')} {owner}"
    if entry is not None and entry.kind is Kind.DIRECTORY:
        return Seen(3, message=f"{path} is a folder")
    if entry is not None and entry.kind is Kind.FILE and entry.content == content:
        seen = f"{entry.mode} {entry.owner}"
        if seen == wanted:
            return AS_WANTED
        return Seen(1, f"-{path}: mode and owner {seen}\n+{path}: mode and owner {wanted}\n")
    is_file = entry is not None and entry.kind is Kind.FILE
    old, label = (entry.content, path) if entry is not None and is_file else ("", "/dev/null")
    return Seen(1, unified(old, content, label, path).rstrip("\n") + "\n")


def act_file(play: Play, path: str, mode: str, owner: str, content: str) -> None:
    """Write a file as a whole."""
    state = play.host.state
    state.files.place(path, Entry(Kind.FILE, mode.removeprefix("0"), owner, content, state.next_tick()))


def _look_line(play: Play, path: str, line: str) -> Seen:
    have = play.host.state.files.text(path)
    if have is not None and line in have.split("\n")[: None if not have.endswith("\n") else -1]:
        return AS_WANTED
    return Seen(1, f"+{line}\n")


def act_line(play: Play, path: str, line: str) -> None:
    """Add a line to a file, which is made where it is missing."""
    entry = play.host.state.files.behind(path)
    if entry is not None and entry.kind is Kind.DIRECTORY:
        raise ActFailedError(f"{path}: Is a directory")
    before = entry.content.rstrip("\n") + "\n" if entry is not None and entry.content.rstrip("\n") else ""
    mode, owner = (entry.mode, entry.owner) if entry is not None else ("644", "root:root")
    act_file(play, path, mode, owner, f"{before}{line}\n")


def _look_directory(play: Play, path: str, mode: str, owner: str) -> Seen:
    entry = play.host.state.files.behind(path)
    if entry is not None and entry.kind is not Kind.DIRECTORY:
        return Seen(3, message=f"{path} is not a folder")
    seen = f"{entry.mode} {entry.owner}" if entry is not None else "(missing)"
    wanted = f"{mode.removeprefix('0')} {owner}"
    return AS_WANTED if seen == wanted else Seen(1, f"-{path}: {seen}\n+{path}: {wanted}\n")


def _act_directory(play: Play, path: str, mode: str, owner: str) -> None:
    state = play.host.state
    entry = state.files.behind(path)
    if entry is None:
        entry = Entry(Kind.DIRECTORY)
        state.files.place(path, entry)
    entry.mode, entry.owner, entry.changed = mode.removeprefix("0"), owner, state.next_tick()


def _look_link(play: Play, path: str, target: str) -> Seen:
    entry = play.host.state.files.at(path)
    if entry is not None and entry.kind is not Kind.LINK:
        return Seen(3, message=f"{path} exists and is not a link")
    seen = entry.content if entry is not None else "(missing)"
    return AS_WANTED if seen == target else Seen(1, f"-{path} -> {seen}\n+{path} -> {target}\n")


def _act_link(play: Play, path: str, target: str) -> None:
    state = play.host.state
    state.files.place(path, Entry(Kind.LINK, "777", "root:root", target, state.next_tick()))


def _look_absent(play: Play, path: str) -> Seen:
    return AS_WANTED if play.host.state.files.at(path) is None else Seen(1, f"-{path}\n")


def _act_absent(play: Play, path: str) -> None:
    play.host.state.files.remove(path)


def _path(path: str, *_: str) -> str:
    return path


VERBS: dict[str, Verb] = {
    "file": StepVerb(lambda path, *_: f"file {path}", _look_file, act_file, 4, 4, _path),
    "secret_file": StepVerb(lambda path, *_: f"file {path}", _look_secret, act_file, 4, 4, _path),
    "line": StepVerb(lambda path, line: f"line {line} in {path}", _look_line, act_line, 2, 2, _path),
    "directory": StepVerb(lambda path, *_: f"directory {path}", _look_directory, _act_directory, 3, 3, _path),
    "link": StepVerb(lambda path, *_: f"link {path}", _look_link, _act_link, 2, 2, _path),
    "absent": StepVerb(lambda path: f"absent {path}", _look_absent, _act_absent, 1, 1, _path),
}
