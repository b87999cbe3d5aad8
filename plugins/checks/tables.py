"""Tables of an OVSDB database as its tools print them with --format=json (RFC 7047, section 5.1)."""

from __future__ import annotations

import json
from typing import Any


def rows(text: str, name: str) -> list[dict[str, Any]]:
    """Read one table into a dict per row: maps as dicts, sets as lists, an empty set as None.

    Raises ValueError that names the table for anything else than a table.
    """
    try:
        table = json.loads(text)
        headings = table["headings"]
        return [
            # On each of 1,000 hosts there are 999 tunnels: most cells are plain, and need no call.
            dict(zip(headings, [_value(cell) if isinstance(cell, list) else cell for cell in row], strict=True))
            for row in table["data"]
        ]
    except (ValueError, KeyError, TypeError, IndexError):
        raise ValueError(f"the table {name} cannot be read: {' '.join(text.split())[:120]}") from None


def _value(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "map":
        return {_value(key): _value(each) for key, each in content}
    if kind == "set":
        return [_value(each) for each in content] or None
    return content
