"""Write the fields of objects: `kubectl get --raw /openapi/v2 | python tests/standins/schema.py`.

TEST DATA out of a real API server's own description; written anew when a release has another version of Kubernetes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from standin.kinds import KINDS

FILE = Path(__file__).parent / "standin" / "objects.json"
LOOSE = ("Quantity", "IntOrString", "RawExtension", "FieldsV1")
"""Definitions that are written in more than one way."""


def fields(described: dict[str, Any]) -> Any:
    """What may stand in a value: a type's name, `#DEFINITION`, a list of one of these, or `{"*": ...}` for any key."""
    if reference := described.get("$ref", ""):
        return f"#{reference.rpartition('/')[2].removeprefix('io.k8s.')}"
    if described.get("type") == "array":
        return [fields(described["items"])]
    if "additionalProperties" in described:
        return {"*": fields(described["additionalProperties"])}
    return described.get("type", "any")


def reachable(definitions: dict[str, Any], roots: list[str]) -> dict[str, Any]:
    """The definitions that objects of these kinds are made of."""
    found: dict[str, Any] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        described = definitions[f"io.k8s.{name}"]
        found[name] = "any" if name.endswith(LOOSE) else described.get("type", "any")
        if "properties" in described:
            found[name] = {key: fields(each) for key, each in sorted(described["properties"].items())}
            waiting += [word[1:] for word in json.dumps(found[name]).split('"') if word.startswith("#")]
    return found


def main() -> None:
    """Read a description, and write what of it is needed, one line for each definition."""
    definitions = json.load(sys.stdin)["definitions"]
    wanted = {(kind.group.rpartition("/")[0], kind.group.rpartition("/")[2], kind.name) for kind in KINDS}
    roots = {}
    for name, described in definitions.items():
        for kind in described.get("x-kubernetes-group-version-kind", ()):
            if (kind["group"], kind["version"], kind["kind"]) in wanted:
                version = f"{kind['group']}/{kind['version']}".lstrip("/")
                roots[f"{version}/{kind['kind']}"] = name.removeprefix("io.k8s.")
    lines: dict[str, Any] = {key: f"#{name}" for key, name in sorted(roots.items())}
    lines |= dict(sorted(reachable(definitions, sorted(roots.values())).items()))
    text = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in lines.items())
    FILE.write_text(f"{{\n{text}\n}}\n")


if __name__ == "__main__":
    main()
