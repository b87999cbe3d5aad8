"""The operator's OpenSSH client configuration, looked at before connections need it."""

from __future__ import annotations

from pathlib import Path

from plugins.connections import slim_paramiko as _first  # noqa: F401  # isort: skip  # before paramiko itself

import paramiko

from plugins.errors import UsageError

CONFIG_ERRORS = (paramiko.SSHException, OSError, ValueError, LookupError)
"""What paramiko and netmiko raise for a configuration that they cannot use."""
_TODO = "correct it, or write `ssh: {config_file: null}` into the inventory"


def check_config(file: Path | None) -> None:
    """Raise UsageError, with the line, where the file cannot be read."""
    if file is None:
        return
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"{file}: the SSH configuration cannot be read ({error.strerror}); {_TODO}") from None
    for number, line in enumerate(lines, 1):
        try:
            paramiko.SSHConfig.from_text(line.decode())
        except UnicodeDecodeError:
            raise UsageError(f"{file}, line {number}: not UTF-8 text; {_TODO}") from None
        except CONFIG_ERRORS as error:
            raise UsageError(f"{file}, line {number}: {error}; {_TODO}") from None
