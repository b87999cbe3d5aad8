"""The fields that objects have: what is applied is held to them, as server-side apply holds it."""

from __future__ import annotations

import json
import pkgutil
from functools import cache
from typing import Any

from standin.kinds import Kind
from standin.refusal import Refusal

TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
}


def check(kind: Kind, item: dict[str, Any]) -> None:
    """Raise Refusal for a field that objects of the kind do not have, or one of another type."""
    _check(item, f"{kind.group}/{kind.name}", "")


@cache
def _described() -> dict[str, Any]:
    return dict(json.loads(pkgutil.get_data("standin", "objects.json") or b"{}"))


def _check(value: Any, described: Any, place: str) -> None:
    if isinstance(described, str) and (name := described.removeprefix("#")) in _described():
        _check(value, _described()[name], place)
    elif isinstance(described, list):
        for number, inner in enumerate(_of(value, list, place)):
            _check(inner, described[0], f"{place}[{number}]")
    elif isinstance(described, dict):
        for key, inner in _of(value, dict, place).items():
            if key not in described and "*" not in described:
                raise Refusal(f"{place}.{key}: field not declared in schema")
            _check(inner, described.get(key, described.get("*")), f"{place}.{key}")
    elif described != "any":
        _of(value, TYPES[described], place)


def _of(value: Any, wanted: type | tuple[type, ...], place: str) -> Any:
    # YAML has `true` where a string was meant, and Python takes it for a number.
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise Refusal(f"{place}: expected {wanted}, got {value!r}")
    return value
