"""Stand-in for kubectl: the forms that the runbooks use, and no other."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import yaml

from standin import documents, kinds
from standin.client import ApiError, Client
from standin.refusal import Refusal

NEEDED = {
    "diff": {"--server-side", "--force-conflicts", "--field-manager", "-f"},
    "apply": {"--server-side", "--force-conflicts", "--field-manager", "-f"},
    "get": set[str](),
    "label": {"--overwrite"},
    "annotate": {"--overwrite"},
    "taint": {"--overwrite"},
    "delete": {"--ignore-not-found"},
}
ALLOWED = {
    **NEEDED,
    "get": {"--raw", "-A", "-n", "-o", "-l", "--field-selector", "--ignore-not-found"},
    "delete": {"--ignore-not-found", "--wait", "--timeout", "-n"},
}
SWITCHES = {"--server-side", "--force-conflicts", "--overwrite", "--ignore-not-found", "-A", "--wait"}
GLOBAL = {"--kubeconfig", "--request-timeout", "--cache-dir"}


def parse(words: Sequence[str]) -> tuple[str, dict[str, str], list[str]]:
    """Command, flags and arguments. Raises Refusal for a form that is none of ours."""
    found, rest, waiting = dict[str, str](), list[str](), iter(words)
    for word in waiting:
        name, mark, value = word.partition("=")
        if not word.startswith("-"):
            rest.append(word)
            continue
        if not mark:
            value = "true" if name in SWITCHES else next(waiting, "")
        if not value:
            raise Refusal(f"flag needs an argument: {name}")
        found[name] = value
    command, rest = rest[0] if rest else "", rest[1:]
    if command not in NEEDED:
        raise Refusal(f"unknown command {command!r}")
    if unknown := sorted(found.keys() - ALLOWED[command] - GLOBAL):
        raise Refusal(f"unknown flag: {unknown[0]}")
    if missing := sorted((NEEDED[command] | {"--kubeconfig"}) - found.keys()):
        raise Refusal(f"{command}: without {missing[0]}, which the runbooks always give")
    return command, found, rest


def main(_component: str, _version: str, words: Sequence[str]) -> int:
    """Run one command; the exit status that kubectl would end with."""
    command, found, rest = parse(words)
    client = Client(documents.load_kubeconfig(found["--kubeconfig"]))
    try:
        if command in ("diff", "apply"):
            if found["-f"] != "-" or rest:
                raise Refusal(f"{command}: -f - and nothing else")
            return _apply(client, command, found["--field-manager"], sys.stdin.read())
        if command == "get":
            return _get(client, found, rest)
        if command == "delete":
            return _delete(client, found, rest)
        return _mark(client, command, rest)
    except ApiError as error:
        heads = {403: "Error from server (Forbidden): ", 404: "Error from server (NotFound): ", 0: "", 422: ""}
        heads[401] = "error: You must be logged in to the server: "
        print(f"{heads.get(error.status, 'Error from server: ')}{error}", file=sys.stderr)
        return 2 if command == "diff" else 1


def _apply(client: Client, command: str, manager: str, text: str) -> int:
    differs = False
    for item in documents.load_all(text, "standard input"):
        kind = kinds.of_object(item)
        metadata = item.get("metadata") or {}
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?", str(metadata.get("name", ""))):
            raise Refusal(f"{kind.name}: metadata.name {metadata.get('name')!r}")
        if kind.namespaced and not metadata.get("namespace"):
            item["metadata"] = metadata = {**metadata, "namespace": "default"}
        place = kind.path(metadata.get("namespace", ""), metadata["name"])
        before: dict[str, Any] = {}
        try:
            before = client.ask("GET", place)
        except ApiError as error:
            if error.status != 404:
                raise
        query = f"fieldManager={quote(manager)}{'&dryRun=All' if command == 'diff' else ''}"
        after = client.ask("PATCH", f"{place}?{query}", item)
        if command == "apply":
            print(f"{kind.name.lower()}/{metadata['name']} serverside-applied")
        elif before != after:
            differs = True
            lines = [yaml.safe_dump(each).splitlines(keepends=True) if each else [] for each in (before, after)]
            sys.stdout.writelines(difflib.unified_diff(*lines, f"LIVE{place}", f"MERGED{place}"))
    return int(differs)


def _get(client: Client, found: dict[str, str], rest: Sequence[str]) -> int:
    if "--raw" in found:
        if rest:
            raise Refusal("arguments may not be passed when --raw is specified")
        sys.stdout.write(client.raw("GET", found["--raw"]))
        return 0
    items: list[dict[str, Any]] = []
    for word in rest[0].split(",") if rest else [""]:
        kind = kinds.of_word(word)
        namespace = "" if "-A" in found else found.get("-n", "default")
        for name in rest[1:] or [""]:
            try:
                item = client.ask("GET", kind.path(namespace, name))
            except ApiError as error:
                if error.status == 404 and "--ignore-not-found" in found:
                    continue
                raise
            items += [item] if name else item["items"]
    if "-l" in found:
        key, _, value = found["-l"].partition("=")
        items = [each for each in items if each["metadata"].get("labels", {}).get(key) == value]
    if "--field-selector" in found:
        key, _, value = found["--field-selector"].partition("=")
        items = [each for each in items if _walk(each, f".{key}") == [value]]
    _print(items, found.get("-o", ""), single=len(rest) == 2)
    return 0


def _print(items: list[dict[str, Any]], form: str, *, single: bool) -> None:
    if form == "json":
        if items or not single:
            print(json.dumps(items[0] if single else {"apiVersion": "v1", "kind": "List", "items": items}, indent=4))
    elif form == "name":
        for item in items:
            print(f"{kinds.of_object(item).name.lower()}/{item['metadata']['name']}")
    elif form.startswith("jsonpath="):
        print(jsonpath(items[0] if single and items else {"items": items}, form.removeprefix("jsonpath=")), end="")
    else:
        raise Refusal(f"-o {form!r}: json, name or jsonpath")


def jsonpath(item: Any, template: str) -> str:
    """What a template makes of an object: text, {"text"}, {.a.b}, {.a[*].b}, {range .a[?(@.k=="v")]}...{end}."""
    shown, rest = "", template
    while rest:
        found = re.match(r"\{range ([^}]+)\}(.*?)\{end\}|\{([^}]+)\}|([^{]+)", rest, re.DOTALL)
        if not found:
            raise Refusal(f"jsonpath {template!r}: not one of ours")
        where, inside, path, text = found.groups()
        if where is not None:
            shown += "".join(jsonpath(each, inside) for each in _walk(item, where))
        elif path is not None and re.fullmatch(r'"[^"]*"', path):
            shown += str(json.loads(path))
        elif path is not None:
            found_here = _walk(item, path)
            shown += " ".join(
                each if isinstance(each, str) else json.dumps(each, separators=(",", ":"), sort_keys=True)
                for each in found_here
            )
        else:
            shown += text
        rest = rest[found.end() :]
    return shown


def _walk(item: Any, path: str) -> list[Any]:
    here, parts = [item], re.findall(r"\.((?:[^.\[\\]|\\.)+)|\[(\*|\?\(@\.(\w+)==\"([^\"]*)\"\))\]", path)
    if not parts or "".join(re.split(r"\.(?:[^.\[\\]|\\.)+|\[(?:\*|\?\(@\.\w+==\"[^\"]*\"\))\]", path)):
        raise Refusal(f"jsonpath {path!r}: not one of ours")
    for name, bracket, key, value in parts:
        if name:
            plain = name.replace("\\", "")
            here = [each[plain] for each in here if isinstance(each, dict) and plain in each]
        else:
            here = [inner for each in here for inner in each]
            here = here if bracket == "*" else [each for each in here if each.get(key) == value]
    return here


def _mark(client: Client, command: str, rest: Sequence[str]) -> int:
    if command != "taint" and (away := [word for word in rest[1:] if word.endswith("-")]):
        raise Refusal(f"{command}: {away[0]}: a stand-in takes nothing away")
    names = [word for word in rest[1:] if "=" not in word and ":" not in word and not word.endswith("-")]
    marks = [word for word in rest[1:] if word not in names]
    if not names or not marks:
        raise Refusal(f"{command}: what, and with what?")
    kind = kinds.of_word(rest[0])
    for name in names:
        place = kind.path("", name)
        live = client.ask("GET", place)
        if command == "taint":
            wanted = {"spec": {"taints": _taints(live.get("spec", {}).get("taints") or [], marks)}}
        else:
            part = "labels" if command == "label" else "annotations"
            pairs = dict(mark.split("=", 1) for mark in marks if "=" in mark)
            wanted = {"metadata": {part: {**live["metadata"].get(part, {}), **pairs}}}
        # A manager for each mark: one must not take the marks of another command away.
        manager = quote(f"kubectl-{command}-{marks[0]}", safe="")
        same = client.ask("PATCH", f"{place}?fieldManager={manager}", wanted) == live
        print(f"{kind.name.lower()}/{name} {'not ' if same else ''}{command.removesuffix('e')}ed")
    return 0


def _taints(live: list[dict[str, str]], marks: Sequence[str]) -> list[dict[str, str]]:
    for mark in marks:
        found = re.fullmatch(r"([^=:]+)(?:=([^:]*))?:(NoSchedule|NoExecute|PreferNoSchedule)(-?)", mark)
        if not found:
            raise Refusal(f"taint: {mark!r} is no KEY[=VALUE]:EFFECT[-]")
        key, value, effect, away = found.groups()
        live = [each for each in live if (each["key"], each["effect"]) != (key, effect)]
        if not away:
            live.append({"key": key, "effect": effect, **({"value": value} if value else {})})
    return live


def _delete(client: Client, found: dict[str, str], rest: Sequence[str]) -> int:
    if len(rest) < 2:
        raise Refusal("delete: a resource and names")
    kind = kinds.of_word(rest[0])
    for name in rest[1:]:
        try:
            client.ask("DELETE", kind.path(found.get("-n", "default"), name))
            print(f"{kind.name.lower()} {name!r} deleted")
        except ApiError as error:
            if error.status != 404:
                raise
    return 0
