"""Simulated twins of the verbs for downloads: artifact archive. What is downloaded is its SHA-256 and its source.

Addresses with a number for a machine (http://127.0.0.1:8000/...) are really downloaded from; those with a name are not.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from plugins.simulate.effects import Apart, Effect, Part
from plugins.simulate.vocabulary import AS_WANTED, ActFailedError, Seen, StepVerb, Verb
from plugins.simulate.windows.verbs_files import at, place, secret

if TYPE_CHECKING:
    from plugins.simulate.play import Play

_MARK = "simulated download, sha256 "
_NUMBER = re.compile(r"\d+(\.\d+){3}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _digest(content: str) -> str:
    return content.removeprefix(_MARK).split()[0] if content.startswith(_MARK) else sha256(content.encode()).hexdigest()


def _look_artifact(play: Play, path: str, wanted: str, *_: str) -> Seen:
    entry = at(play, path)
    if entry is None:
        return Seen(1, f"-{path} (missing)\n+{path} sha256 {wanted}\n")
    seen = _digest(entry.content)
    return AS_WANTED if seen == wanted else Seen(1, f"-{path} sha256 {seen}\n+{path} sha256 {wanted}\n")


@dataclass(frozen=True)
class _Got:
    """What became of one address: `shown` stands in messages, `noted` in the file; `sha256` or else what was said."""

    shown: str
    noted: str
    sha256: str = ""
    said: str = ""


def _act_artifact(play: Play, path: str, wanted: str, *sources: str) -> Part:
    problems = []
    for source in sources:
        got = yield from _download(play, source, wanted)
        if got.sha256 == wanted:
            place(play, path, f"{_MARK}{wanted} from {got.noted}")
            return
        problems.append(f"{got.shown}: {got.said or f'sha256 {got.sha256}, not {wanted}'}")
    raise ActFailedError("\n".join(problems))


def _download(play: Play, source: str, wanted: str) -> Generator[Effect, bytes | None, _Got]:
    hidden = source.startswith("secret:")
    parts = urlsplit(secret(play, source) if hidden else source)
    if not _NUMBER.fullmatch(parts.hostname or ""):
        return _Got(source, source, wanted)
    origin = f"{parts.scheme}://{parts.netloc}"
    shown, path = (origin, parts.path.split("/", 2)[-1]) if hidden else (source, parts.path.removeprefix("/"))
    answer = ((yield Apart(partial(_fetched, parts.geturl()))) or b"").decode()
    found = _SHA256.fullmatch(answer)
    return _Got(shown, f"{origin}/{path}", sha256=answer) if found else _Got(shown, shown, said=answer)


def _fetched(address: str) -> bytes:
    """Give the SHA-256 of what is at an address, or the words of Windows for what is wrong."""
    digest = sha256()
    try:
        with build_opener(ProxyHandler({})).open(address, timeout=60) as answer:
            while piece := answer.read(1 << 20):
                digest.update(piece)
    except HTTPError as error:
        return f"The remote server returned an error: ({error.code}) {error.reason}.".encode()
    except OSError:
        machine = urlsplit(address).netloc
        return f"No connection could be made because the target machine actively refused it {machine}".encode()
    return digest.hexdigest().encode()


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
