"""JSON Schema of the inventory's files, for editors: `python -m plugins.inventory.export [--check]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from plugins.inventory.model import DefaultsEntry, GroupEntry, HostEntry

SCHEMA = Path(__file__).resolve().parent.parent.parent / "inventory" / "schema.json"
COMMAND = "python -m plugins.inventory.export"


def schema() -> dict[str, Any]:
    """Make one schema for the three files; a file names its own part by $defs/hosts, groups or defaults."""
    entries = (HostEntry, GroupEntry, DefaultsEntry)
    references, definitions = models_json_schema([(entry, "validation") for entry in entries])
    host, group, defaults = (references[entry, "validation"] for entry in entries)
    files = {
        "hosts": {"description": "hosts.yaml: hosts by name.", **_by_name(host, minimum=1)},
        "groups": {"description": "groups.yaml: groups by name.", **_by_name(group, minimum=1)},
        "defaults": {"description": "defaults.yaml", **defaults},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Inventory",
        "description": f"Made by `{COMMAND}`. Refer to $defs/hosts, $defs/groups or $defs/defaults.",
        "$defs": files | _without_titles(definitions["$defs"]),
    }


def _by_name(entry: dict[str, Any], minimum: int) -> dict[str, Any]:
    # Nothing below a name, as after commenting out its lines, is an entry without keys.
    return {
        "type": "object",
        "minProperties": minimum,
        "additionalProperties": {"anyOf": [entry, {"type": "null"}]},
    }


def _without_titles(schema: Any) -> Any:
    """Leave out the titles that pydantic makes of the keys: editors would show them in place of descriptions."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if isinstance(schema, dict):
        return {k: _without_titles(v) for k, v in schema.items() if k != "title" or not isinstance(v, str)}
    return schema


def text() -> str:
    """Give the file's text."""
    return json.dumps(schema(), indent=2, sort_keys=False) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the file, or with --check only say whether it is current: exit status 0, or 1 when it is not."""
    if arguments not in ([], ["--check"]):
        print(f"usage: {COMMAND} [--check]", file=sys.stderr)
        return 2
    if not arguments:
        SCHEMA.write_text(text())
        return 0
    if SCHEMA.is_file() and SCHEMA.read_text() == text():
        return 0
    print(f"inventory/schema.json is not current; run: {COMMAND}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
