"""Who runs this: the name that logins take where the inventory has none."""

from __future__ import annotations

import getpass
import os

from plugins.errors import UsageError


def login_name() -> str:
    """Give the name of whoever runs this. Raises UsageError where there is none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # before Python 3.13, and since
        raise UsageError(f"user id {os.getuid()} has no name on this machine; write one into the inventory") from None


def owner_name() -> str:
    """Give the name of whoever runs this, or else the user id, to be shown to others."""
    try:
        return login_name()
    except UsageError:
        return f"user id {os.getuid()}"
