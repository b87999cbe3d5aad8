"""Paths as they are written in settings: `~` is the home folder, a relative one starts at its file's folder."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError


def _located(path: Path, info: ValidationInfo) -> Path:
    """Make the path absolute; the validation context's `folder` is where a relative one starts."""
    try:
        expanded = path.expanduser()
    except RuntimeError:
        raise PydanticCustomError("home", "no home folder is known for this ~; write the whole path") from None
    folder = (info.context or {}).get("folder", Path())
    return Path(folder, expanded).absolute()


LocatedPath = Annotated[Path, AfterValidator(_located)]


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
