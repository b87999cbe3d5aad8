"""A simulated Windows host's disk: everything that it is, in one JSON file that is whole or not there."""

from __future__ import annotations

import hashlib
import json

from pydantic import TypeAdapter

from plugins.lab.host import HostFolder, write_private
from plugins.simulate.state import HostState, lasting

_STATES = TypeAdapter(HostState)


def read_disk(folder: HostFolder) -> HostState:
    """Give what the host was when its disk was written last."""
    return _STATES.validate_json(folder.windows_state.read_bytes())


def write_disk(folder: HostFolder, state: HostState) -> None:
    """Keep what the host is now; it has private keys in it."""
    write_private(folder.windows_state, disk_text(state))


def disk_text(state: HostState) -> str:
    """Give the whole state as the disk has it."""
    return json.dumps(state.as_json())


def windows_fingerprint(folder: HostFolder) -> dict[str, str]:
    """Every file and setting of the host: path or name to a hash. Needs no running host."""
    state = lasting(json.loads(folder.windows_state.read_text()))
    parts = {f"file {path}": entry for path, entry in state.pop("files").items()}
    parts |= {f"windows {name}": part for name, part in (state.pop("windows") or {}).items()}
    # What counts changes and boots is not what was changed.
    kept = parts | {name: value for name, value in state.items() if name not in {"tick", "boot_id"}}
    return {name: hashlib.sha256(json.dumps(part).encode()).hexdigest() for name, part in kept.items()}
