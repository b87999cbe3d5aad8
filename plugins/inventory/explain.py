"""What pydantic refuses, as findings that somebody can act on."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from plugins.inventory.documents import Document
from plugins.inventory.findings import Finding, is_secret
from plugins.words import nearest, plain, quoted, suggestion

Said = tuple[str, str]
"""What is wrong, and what to do."""

# Key by key: what to say where it stands although it is not known there.
Hints = dict[str, Said]
UNSHOWN = "what stands here"

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "path_type": "a path",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
}
_HOW = {
    "text": "write one value",
    "a whole number": "write digits, without quotes and unit",
    "a number": "write digits, without quotes and unit",
    "true or false": "write true or false, without quotes",
    "a list": "write it in brackets, with commas between, as in [ONE, TWO]",
    "a path": "write a path, in quotes if YAML takes it for something else",
    "keys with values": "write KEY: VALUE lines below it",
}
_LIMITS = {
    "greater_than": ("gt", "too small", "more than"),
    "greater_than_equal": ("ge", "too small", "at least"),
    "less_than": ("lt", "too large", "less than"),
    "less_than_equal": ("le", "too large", "at most"),
}
_OTHERS = {
    "string_pattern_mismatch": (
        "{value} is no name of an environment variable",
        "write the variable's name, not its value",
    ),
    "too_short": ("nothing is in it", "write at least one word"),
    "string_too_short": ("nothing is in it", "write at least one character"),
    "finite_number": ("{value} is no finite number", "write digits, without quotes and unit"),
    "recursion_loop": ("the value refers to itself", "write it out"),
    "invalid_key": ("a key that YAML does not take for text", "put the key in quotes"),
}


def explained(
    document: Document,
    error: ValidationError,
    model: type[BaseModel],
    at: Sequence[str] = (),
    hints: Hints | None = None,
) -> Iterator[Finding]:
    """Yield one finding for each error that `model` had with what stands at the path `at` of the document."""
    for detail in error.errors(include_url=False):
        place = detail["loc"]
        # pydantic says so when it is a label's key that is wrong; a key may really be called so, too.
        if place[-1:] == ("[key]",) and detail["type"] != "extra_forbidden" and len(place) > 1:
            place = place[:-1]
        path = tuple(str(part) for part in place)
        # The first key may be a host's name, which is no secret whatever it looks like.
        secret = is_secret([*at[1:], *path])
        if detail["type"] == "extra_forbidden":
            said = _unknown(path, model, hints or {})
        elif detail["type"] == "missing":
            said = _missing(path, model)
        else:
            said = _wrong(detail, secret=secret)
        yield document.finding((*at, *path), *said)


def model_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """Give the model of the block at a path of keys; None where it is no model."""
    for key in path:
        field = model.model_fields.get(key)
        inner = _models_in(field.annotation) if field else []
        if not inner:
            return None
        model = inner[0]
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in _models_in(part)]


def _places(model: type[BaseModel], path: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Map every key of a model to the path of the block that holds it; the outermost block wins."""
    found = dict.fromkeys(model.model_fields, path)
    for key, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            found = _places(inner, (*path, key)) | found
    return found


def _unknown(path: tuple[str, ...], model: type[BaseModel], hints: Hints) -> Said:
    *block, key = path
    here = model_at(model, block)
    known = list(here.model_fields) if here else []
    if is_secret(block):
        return "unknown key", f"write exactly one of {' and '.join((', '.join(known[:-1]), known[-1]))}"
    if key in hints:
        return hints[key]
    meant = nearest(key, known)
    places = _places(model)
    if key in places:
        return "it does not belong here", _belongs(places[key])
    if meant:
        return "unknown key", f"did you mean {quoted(meant)}?"
    if is_secret([key]):
        return hints.get("password", ("a password never stands here", "remove it"))
    other = nearest(key, places)
    if other:
        return "unknown key", f"did you mean {quoted('.'.join((*places[other], other)))}?"
    return "unknown key", suggestion(key, known, "known keys here")


def _belongs(place: tuple[str, ...]) -> str:
    return f"write it under {'.'.join(place)}" if place else "write it beside data, not in it"


def _missing(path: tuple[str, ...], model: type[BaseModel]) -> Said:
    here = model_at(model, path[:-1])
    field = here.model_fields.get(path[-1]) if here else None
    about = (field.description or "") if field else ""
    return "missing", f"write it: {about}".rstrip(": .") if about else "write it"


def _wrong(detail: Any, *, secret: bool) -> Said:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    value = UNSHOWN if secret else quoted(given)
    if given is None and kind in _EXPECTED:
        return "nothing stands after the colon", "write a value, or remove the key"
    if kind in _EXPECTED:
        expected = _EXPECTED[kind]
        seen = value if isinstance(given, str) and not secret else _kind(given)
        how = "put it in quotes" if expected == "text" and not isinstance(given, list | dict) else _HOW[expected]
        return f"expected {expected}, found {seen}", how
    if kind in _LIMITS:
        limit, size, words = _LIMITS[kind]
        return f"{UNSHOWN if secret else given} is {size}", f"write {words} {context[limit]:g}"
    if kind in {"literal_error", "enum"}:
        choices = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"].lower()]
        seen = value if isinstance(given, str) else _kind(given)
        return f"{seen} is not known here", suggestion(str(given), choices, "write one of these")
    if kind in _OTHERS:
        problem, todo = _OTHERS[kind]
        return problem.format(value=UNSHOWN if secret else plain(str(given))), todo.format(**context)
    return _own_words(detail["msg"], context, secret=secret)


def _own_words(message: str, context: Mapping[str, Any], *, secret: bool) -> Said:
    """Take apart the text of one of the project's own validators."""
    if secret and "value" in context:
        message = message.replace(str(context["value"]), UNSHOWN)
    problem, _, todo = message.partition("; ")
    return problem, todo


def _kind(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "a block of keys"
        case _:
            return plain(type(value).__name__)
