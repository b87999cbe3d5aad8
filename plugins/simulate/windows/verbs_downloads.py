"""Simulated twins of the verbs for downloads: artifact archive. What is downloaded is its SHA-256 and its source."""

from __future__ import annotations

from hashlib import sha256
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING

from plugins.simulate.vocabulary import AS_WANTED, ActFailedError, Seen, StepVerb, Verb
from plugins.simulate.windows.verbs_files import at, place

if TYPE_CHECKING:
    from plugins.simulate.play import Play

_MARK = "simulated download, sha256 "


def _digest(content: str) -> str:
    return content.removeprefix(_MARK).split()[0] if content.startswith(_MARK) else sha256(content.encode()).hexdigest()


def _look_artifact(play: Play, path: str, wanted: str, *_: str) -> Seen:
    entry = at(play, path)
    if entry is None:
        return Seen(1, f"-{path} (missing)\n+{path} sha256 {wanted}\n")
    seen = _digest(entry.content)
    return AS_WANTED if seen == wanted else Seen(1, f"-{path} sha256 {seen}\n+{path} sha256 {wanted}\n")


def _act_artifact(play: Play, path: str, wanted: str, *source: str) -> None:
    place(play, path, f"{_MARK}{wanted} from {' '.join(source)}")


def _note(path: str, folder: str) -> str:
    return f"{folder}\\.{PureWindowsPath(path).name}.unpacked"


def _lines(play: Play, digest: str, folder: str, members: tuple[str, ...]) -> str:
    lines = [digest]
    for member in members:
        entry = at(play, f"{folder}\\{PureWindowsPath(member).name}")
        lines.append(f"{member} {_digest(entry.content) if entry else '(missing)'}")
    return "\n".join(lines)


def _look_archive(play: Play, path: str, digest: str, folder: str, *members: str) -> Seen:
    entry = at(play, _note(path, folder))
    if entry is not None and entry.content == _lines(play, digest, folder, members):
        return AS_WANTED
    return Seen(1, f"+{folder} from {PureWindowsPath(path).name}: {' '.join(members)}\n")


def _act_archive(play: Play, path: str, digest: str, folder: str, *members: str) -> None:
    entry = at(play, path)
    if entry is None:
        raise ActFailedError(f"Cannot find path '{path}' because it does not exist.")
    if (seen := _digest(entry.content)) != digest:
        raise ActFailedError(f"{path} has sha256 {seen}, not {digest}")
    for member in members:
        place(play, f"{folder}\\{PureWindowsPath(member).name}", f"{member} of {digest}")
    place(play, _note(path, folder), _lines(play, digest, folder, members))


VERBS: dict[str, Verb] = {
    "artifact": StepVerb(
        lambda path, *_: f"artifact {path}", _look_artifact, _act_artifact, 3, None, lambda path, *_: path
    ),
    "archive": StepVerb(
        lambda path, *_: f"archive {PureWindowsPath(path).name}",
        _look_archive,
        _act_archive,
        4,
        None,
        lambda _path, _digest, folder, *_: folder,
    ),
}
