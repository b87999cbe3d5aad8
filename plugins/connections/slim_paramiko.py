"""Imports paramiko without invoke, which takes longer to import than all the rest of it and is wanted rarely."""

from __future__ import annotations

import importlib
import sys

_LATE = "invoke"
# Python's own way to have an import fail; paramiko expects that this one may.
_hidden = sys.modules.setdefault(_LATE, None) is None  # type: ignore[arg-type]
import paramiko.config  # noqa: E402

if _hidden:
    del sys.modules[_LATE]


def allow_match_exec() -> None:
    """Give paramiko what `Match exec` in an OpenSSH configuration needs; call it before one is read."""
    paramiko.config.invoke = importlib.import_module(_LATE)  # type: ignore[attr-defined]
