"""Every exception the project raises.

RunbookError
├── UsageError            the command line, inventory or settings are wrong (exit status 2)
│   ├── InventoryError    all findings of one load, each with file, host and key
│   ├── SelectionError    a host, role, stage or filter that names nothing
│   └── SettingsError     config.yaml or a release file
├── LockedError           another run holds the cluster (exit status 3)
└── HostError             one host failed; other hosts go on (exit status 1)
    ├── UnreachableError  no connection: address, port, host key, login
    │   ├── BusyError     the host takes no connection for the moment
    │   └── SudoError     the host answers, and sudo refuses
    ├── ScriptError       the script could not be sent, or did not come to its end
    ├── StepError         a step or check said no
    └── RebootError       the host did not come back in time, or not rebooted
"""

from __future__ import annotations

from collections.abc import Sequence


class RunbookError(Exception):
    """Root of all errors that an operator can meet; its text is fit to be shown."""


class UsageError(RunbookError):
    """What was asked for is wrong; nothing was touched."""


class InventoryError(UsageError):
    """The inventory is wrong. `findings` holds one line for each error, file, host and key included."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = tuple(findings)


class SelectionError(UsageError):
    """A selection names something that does not exist, or selects nothing."""


class SettingsError(UsageError):
    """config.yaml or a release file is wrong."""


class LockedError(RunbookError):
    """Another run holds the cluster's lock; the text says who and since when."""


class HostError(RunbookError):
    """One host failed at one step: what was seen there, and what to do about it."""

    def __init__(self, host: str, step: str, seen: str, todo: str = "") -> None:
        super().__init__(f"{host}: {step}: {seen}" + (f" ({todo})" if todo else ""))
        self.host, self.step, self.seen, self.todo = host, step, seen, todo

    def __reduce__(self) -> tuple[type[HostError], tuple[str, str, str, str]]:
        """Pickle by the four fields: results may travel between processes."""
        return type(self), (self.host, self.step, self.seen, self.todo)


class UnreachableError(HostError):
    """No connection to the host could be made, or the login was refused."""


class BusyError(UnreachableError):
    """The host takes no connection for the moment, and may in the next."""


class SudoError(UnreachableError):
    """Sudo refused its password. Whoever tries again may lock the account."""


class ScriptError(HostError):
    """The script was refused, cut off, or ended without its end line."""


class StepError(HostError):
    """A step or a check on the host failed."""


class RebootError(HostError):
    """The host did not come back from a reboot within its deadline."""
