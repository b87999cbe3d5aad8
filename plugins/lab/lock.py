"""A lock that ends with its holder: flock on a file that says who holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from plugins.errors import LockedError


@contextmanager
def locked(path: Path, what: str, *, wait: float = 0.0) -> Iterator[int]:
    """Hold the lock at `path`, after up to `wait` seconds. Raises LockedError that says who holds it since when."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(handle, path, what, wait)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode(), 0)
        yield handle
    finally:
        os.close(handle)


def _take(handle: int, path: Path, what: str, wait: float) -> None:
    until = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < until:
                time.sleep(0.05)
                continue
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
            raise LockedError(f"{what} is in use: {path} is held by {holder}; try again when it has ended") from error
        return


def is_held(path: Path) -> bool:
    """Whether a process holds the lock for itself now. A file left by a dead one does not count."""
    return not _free(path, fcntl.LOCK_SH)


def is_in_use(folder: Path) -> bool:
    """Whether a process holds the folder by `in_use` now."""
    return not _free(folder, fcntl.LOCK_EX)


def _free(path: Path, kind: int) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


@contextmanager
def in_use(folders: Iterable[Path]) -> Iterator[None]:
    """Hold folders that others may use too, and nobody may delete."""
    handles = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for folder in folders]
    try:
        for handle in handles:
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        for handle in handles:
            os.close(handle)
