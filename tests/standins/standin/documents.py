"""Configuration files: they parse, no key stands twice, and every field is one that the real program knows."""

from __future__ import annotations

import json
import pkgutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from standin.certificates import private, readable
from standin.refusal import Refusal


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a key that stands twice is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
            raise Refusal(f"key {twice[0]!r} stands twice, line {node.start_mark.line + 1}")
        return dict(super().construct_mapping(node, deep=deep))


def load_all(text: str, what: str) -> list[dict[str, Any]]:
    """Every document of a YAML text. Raises Refusal for one that does not parse or is no object."""
    try:
        found = [each for each in yaml.load_all(text, Loader=_Loader) if each is not None]
    except yaml.YAMLError as error:
        raise Refusal(f"{what}: does not parse: {' '.join(str(error).split())}") from None
    except Refusal as refusal:
        raise Refusal(f"{what}: {refusal}") from None
    if wrong := [each for each in found if not isinstance(each, dict)]:
        raise Refusal(f"{what}: {str(wrong[0])[:40]!r} is no object")
    return found


def load(path: str, kind: str) -> dict[str, Any]:
    """The one document of a file, `kind` being GROUP/VERSION/KIND. Raises Refusal for an unknown field."""
    found = load_all(readable(path).read_text(), path)
    if len(found) != 1:
        raise Refusal(f"{path}: {len(found)} documents")
    version, _, name = kind.rpartition("/")
    if (found[0].get("apiVersion"), found[0].get("kind")) != (version, name):
        raise Refusal(f"{path}: {found[0].get('apiVersion')} {found[0].get('kind')}, not {kind}")
    fields = json.loads(pkgutil.get_data("standin", "fields.json") or b"{}")
    _check(found[0], fields[kind], path, name)
    return found[0]


def _check(value: Any, fields: Any, path: str, place: str) -> None:
    if isinstance(fields, dict):
        if not isinstance(value, dict):
            raise Refusal(f"{path}: {place} is no object")
        for key, inner in value.items():
            if key not in fields:
                raise Refusal(f"{path}: unknown field {place}.{key}")
            _check(inner, fields[key], path, f"{place}.{key}")
    elif isinstance(fields, list):
        if not isinstance(value, list):
            raise Refusal(f"{path}: {place} is no list")
        for number, inner in enumerate(value):
            _check(inner, fields[0], path, f"{place}[{number}]")


def load_kubeconfig(path: str) -> dict[str, str]:
    """Server, authority and credentials of the current context: files, as our kubeconfigs name them.

    Keys: server, certificate-authority, and client-certificate with client-key, or token.
    """
    document = load(str(private(path)), "v1/Config")
    context = _named(document, "contexts", document.get("current-context"), path)["context"]
    cluster = _named(document, "clusters", context.get("cluster"), path)["cluster"]
    user = _named(document, "users", context.get("user"), path)["user"]
    server = urlsplit(str(cluster.get("server", "")))
    if server.scheme != "https" or not server.hostname or not server.port:
        raise Refusal(f"{path}: server {cluster.get('server')!r} is no https://ADDRESS:PORT")
    if cluster.get("insecure-skip-tls-verify"):
        raise Refusal(f"{path}: the server is not verified")
    found = {"server": cluster["server"], "certificate-authority": cluster.get("certificate-authority", "")}
    found |= {key: str(user[key]) for key in ("client-certificate", "client-key", "token") if key in user}
    readable(found["certificate-authority"])
    if "token" not in found and not {"client-certificate", "client-key"} <= found.keys():
        raise Refusal(f"{path}: the user has neither certificate and key nor token")
    return found


def _named(document: dict[str, Any], part: str, name: Any, path: str) -> dict[str, Any]:
    for each in document.get(part) or []:
        if each.get("name") == name:
            return dict(each)
    raise Refusal(f"{path}: {part} has no {name!r}")


def write_if_other(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file, whole or not at all, unless it is there with this text."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)
