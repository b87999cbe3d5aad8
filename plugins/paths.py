"""Paths of settings (`~` is the home folder, a relative one starts at its file's folder) and of files to write."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from plugins.errors import UsageError


def _located(path: Path, info: ValidationInfo) -> Path:
    """Make the path absolute; the validation context's `folder` is where a relative one starts."""
    try:
        expanded = path.expanduser()
    except RuntimeError:
        raise PydanticCustomError("home", "no home folder is known for this ~; write the whole path") from None
    folder = (info.context or {}).get("folder", Path())
    return Path(folder, expanded).absolute()


LocatedPath = Annotated[Path, AfterValidator(_located)]
_OPENED = {("/", "dev", "stdin"), ("/", "dev", "stdout"), ("/", "dev", "stderr"), ("/", "dev", "fd")}


def unreadable(file: Path) -> str:
    """Say what is wrong with a file that is to be read, and what to do; empty when nothing is."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return f"{file} is no file; correct the path"
        file.open("rb").close()
    except FileNotFoundError:
        return f"{file} does not exist; correct the path"
    except OSError as error:
        return f"{file} cannot be read ({error.strerror}); check the path and its owner"
    return ""


def check_output(option: str, path: Path) -> None:
    """Make the folder of a file that `option` names; UsageError when the file could not be written."""
    folder = path.resolve().parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option} {path}: its folder cannot be made ({error.strerror})") from None
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a folder; name a file in it")
    if not os.access(folder if is_new_or_file(path) else path, os.W_OK):
        raise UsageError(f"{option} {path}: no permission to write there")


def is_new_or_file(path: Path) -> bool:
    """Whether a file may take the place of what is there: a device or a pipe is written to instead."""
    # These may lead to a file that the shell has opened: that one must not be replaced.
    opened = path.parts[:2] == ("/", "proc") or path.parts[:3] in _OPENED
    return not opened and (path.is_file() or not path.exists())
