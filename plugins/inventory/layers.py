"""The layers that a host's settings come from: defaults, then its groups, then its own keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from plugins.inventory.documents import Document
from plugins.inventory.explain import Hints, explained
from plugins.inventory.findings import Finding

# Blocks of `data` whose keys are inherited one by one; what a key holds, such as a password's source, as a whole.
BLOCKS = ("ssh", "sudo", "winrm", "containerd", "kubelet", "labels")


@dataclass(frozen=True)
class Layer:
    """One block of a file: what it holds, without what was found wrong in it, and what that was."""

    document: Document
    at: tuple[str, ...]
    raw: Mapping[str, Any]
    findings: tuple[Finding, ...] = field(default=(), compare=False)

    @property
    def data(self) -> Mapping[str, Any]:
        """The project's own keys."""
        return self.raw.get("data") or {}

    def has(self, path: Sequence[str]) -> bool:
        """Whether something is written at a path of keys."""
        block: Any = self.raw
        for key in path:
            if not isinstance(block, dict) or key not in block:
                return False
            block = block[key]
        return True

    def finding(self, path: Sequence[str], problem: str, todo: str = "") -> Finding:
        """Say what is wrong at a path of keys."""
        return self.document.finding((*self.at, *path), problem, todo)


def read_layer(
    document: Document, at: tuple[str, ...], raw: Any, model: type[BaseModel], folder: Any, hints: Hints
) -> Layer:
    """Check one block against its model by itself, so that an error names the file where the key was written."""
    findings: tuple[Finding, ...] = ()
    raw = {} if raw is None else raw
    while True:
        try:
            model.model_validate(raw, context={"folder": folder})
        except ValidationError as error:
            findings = findings or tuple(explained(document, error, model, at, hints))
            wrong = [detail["loc"] for detail in error.errors() if detail["type"] != "missing"]
            if wrong:  # what is left may still not do, such as a secret without its source
                raw = without(raw, wrong)
                continue
        return Layer(document, at, raw, findings)


def without(raw: Any, paths: Iterable[Sequence[int | str]]) -> dict[str, Any]:
    """Copy a block without what stands at the paths; an item of a list takes the list with it."""
    if not isinstance(raw, dict):
        return {}
    here: set[int | str] = set()
    below: dict[int | str, list[Sequence[int | str]]] = {}
    for path in paths:
        if path:
            key, *rest = path
            if rest and isinstance(raw.get(key), dict) and rest != ["[key]"]:
                below.setdefault(key, []).append(rest)
            else:
                here.add(key)
    kept: dict[str, Any] = {key: value for key, value in raw.items() if isinstance(key, str) and key not in here}
    return kept | {str(key): without(raw[key], rests) for key, rests in below.items() if key not in here}


def merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge `data` blocks, the weakest first; the keys of those in BLOCKS are merged one by one."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            result[key] = {**result.get(key, {}), **(value or {})} if key in BLOCKS else value
    return result


def lineage(names: Iterable[str], parents: Mapping[str, Sequence[str]]) -> list[str]:
    """List groups with those that they inherit from, the strongest first, in Nornir's own order.

    Unknown groups and circles are left out; `circles` finds the latter.
    """
    return list(dict.fromkeys(_ancestors(names, parents, ())))


def _ancestors(names: Iterable[str], parents: Mapping[str, Sequence[str]], above: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if name in parents and name not in above:
            yield name
            yield from _ancestors(parents[name], parents, (*above, name))


def in_circle(name: str, parents: Mapping[str, Sequence[str]]) -> bool:
    """Whether a group inherits from itself."""
    pending, seen = list(parents[name]), set()
    while pending:
        parent = pending.pop()
        if parent == name:
            return True
        if parent not in seen:
            seen.add(parent)
            pending += parents.get(parent, ())
    return False
