"""Services of a simulated host that a unit file brings: what systemd reads out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from plugins.simulate.files import Files

FOLDER = "/etc/systemd/system"
PROGRAMS = "/usr/local/bin/"
_CONTINUED = re.compile(r"\\\n\s*")
_OPTION = re.compile(r"--([a-z-]+)=(\S+)")


@dataclass
class Unit:
    """A systemd service; `since` is the host's tick at its last start."""

    enabled: str = "disabled"
    active: bool = False
    since: int = 0


@dataclass(frozen=True)
class UnitFile:
    """What a unit file says; `notifies` is a service whose start waits until it is well, `before` comes first."""

    program: str = ""
    before: str = ""
    condition: str = ""
    notifies: bool = False
    options: dict[str, str] = field(default_factory=dict)

    def missing(self, files: Files) -> str:
        """Name the downloaded program that is not there, if that is so."""
        return self.program if self.program.startswith(PROGRAMS) and files.behind(self.program) is None else ""

    def waits(self, files: Files) -> bool:
        """Whether systemd leaves the service alone, as a path that it is bound to is missing."""
        return bool(self.condition) and files.behind(self.condition) is None


def read_unit(files: Files, name: str) -> UnitFile | None:
    """Read a service's unit file; None where there is none."""
    text = files.text(f"{FOLDER}/{name}.service")
    if text is None:
        return None
    keys = dict(line.partition("=")[::2] for line in _CONTINUED.sub("", text).splitlines() if "=" in line)
    command = keys.get("ExecStart", "")
    return UnitFile(
        program=command.partition(" ")[0],
        before=keys.get("ExecStartPre", ""),
        condition=keys.get("ConditionPathExists", ""),
        notifies=keys.get("Type") == "notify",
        options=dict(_OPTION.findall(command)),
    )
