"""Private files of the state folder: folders 0700, files 0600, each replaced as a whole or not at all.

Everything is written under a temporary name in the same folder, flushed to the disk, and renamed. The
temporary name is always the same and writers exclude each other, so what an interrupted run leaves behind
is overwritten by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from plugins.errors import UsageError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Make the folder when it is missing and keep other writers of it out, other processes too."""
    with _explained(folder, "written"):
        _make_folder(folder)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _explained(folder, "locked"):
            if stat.S_IMODE(os.fstat(handle).st_mode) & _OTHERS:
                os.fchmod(handle, 0o700)  # it came back from a backup, or was made by hand
            fcntl.flock(handle, fcntl.LOCK_EX)  # released by close, and by the kernel when the process dies
        yield
    finally:
        os.close(handle)


def exists(path: Path) -> bool:
    """Say whether there is anything of this name. Only "no such file" counts as no.

    Path.exists also says no when the folder may not be searched, and then an authority would be made anew.
    """
    with _explained(path, "read"):
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        return True


def read_file(path: Path) -> bytes | None:
    """Return a file's content, or None when it does not exist. Raises UsageError when it cannot be read."""
    with _explained(path, "read"):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def read_private(path: Path) -> bytes | None:
    """Read a file that holds a private key. Raises UsageError when other users may read it too."""
    with _explained(path, "read"):
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if mode & _OTHERS:
                    raise UsageError(
                        f"{path}: other users may use this private key (mode {mode:04o}): if nobody has read it, "
                        f"run `chmod 600 {path}`"
                    )
                return file.read()
        except FileNotFoundError:
            return None


def write_private(path: Path, data: bytes) -> None:
    """Write or replace one file. Whoever reads it, at any moment, sees all of the old or all of the new."""
    temporary = path.with_name(f".{path.name}.new")
    with _explained(path, "written"):
        _make_folder(path.parent)
        try:
            _write(temporary, data)
            temporary.rename(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def place_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder that does not exist yet, with all its files or not at all."""
    temporary = folder.with_name(f".{folder.name}.new")
    with _explained(folder, "written"):
        _make_folder(folder.parent)
        try:
            if temporary.exists():
                shutil.rmtree(temporary)
            _make_folder(temporary)
            for name, data in files.items():
                _write(temporary / name, data)
            _sync_folder(temporary)
            temporary.rename(folder)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync_folder(folder.parent)


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        if not folder.parent.exists():
            _make_folder(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        _sync_folder(folder.parent)


def _write(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)  # of an interrupted run, perhaps with another mode
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _explained(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise UsageError(
            f"{exc.filename or path}: cannot be {verb}: {exc.strerror or exc}: check its owner, its mode and the "
            "space on the disk"
        ) from exc
