"""The objects of the stand-in API, in one file: applied by managers, as server-side apply has it."""

from __future__ import annotations

import copy
import json
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from standin.documents import write_if_other

Object = dict[str, Any]
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class Store:
    """Objects by path. What each manager applied last is kept beside, so that fields it no longer names go."""

    def __init__(self, file: Path) -> None:
        self.file, self.lock = file, threading.RLock()
        content = json.loads(file.read_text()) if file.exists() else {"objects": {}, "applied": {}}
        self.objects: dict[str, Object] = content["objects"]
        self.applied: dict[str, dict[str, Object]] = content["applied"]
        for name in NAMESPACES:
            path = f"/api/v1/namespaces/{name}"
            if path not in self.objects:
                self.apply(path, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "standin")

    def get(self, path: str) -> Object | None:
        """One object."""
        with self.lock:
            return copy.deepcopy(self.objects.get(path))

    def under(self, plural: str, group: str, namespace: str = "") -> list[Object]:
        """All objects of a kind, by path; of one namespace where it is named."""
        head = f"/{'api' if group == 'v1' else 'apis'}/{group}/"
        with self.lock:
            return [
                copy.deepcopy(item)
                for path, item in sorted(self.objects.items())
                if path.startswith(head)
                and path.split("/")[-2] == plural
                and namespace in ("", item["metadata"].get("namespace", ""))
            ]

    def apply(self, path: str, item: Object, manager: str, *, dry_run: bool = False) -> Object:
        """Merge what a manager wants into the object, and take away what it wanted before and no longer does."""
        with self.lock:
            before = self.objects.get(path)
            live = copy.deepcopy(before) if before else {}
            _remove(live, self.applied.get(path, {}).get(manager, {}), item)
            _merge(live, item)
            if before is None:
                made = {"uid": str(uuid.uuid4()), "creationTimestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
                live["metadata"] |= made
            if not dry_run:
                self.objects[path] = live
                self.applied.setdefault(path, {})[manager] = copy.deepcopy(item)
                self._write()
            return copy.deepcopy(live)

    def put(self, path: str, item: Object) -> Object:
        """Make an object, or put it in place of the one that is there."""
        with self.lock:
            before = self.objects.get(path, {}).get("metadata", {})
            made = {"uid": str(uuid.uuid4()), "creationTimestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
            kept = {key: before.get(key, value) for key, value in made.items()}
            self.objects[path] = {**copy.deepcopy(item), "metadata": {**item["metadata"], **kept}}
            self._write()
            return copy.deepcopy(self.objects[path])

    def patch(self, path: str, wanted: Object) -> Object:
        """Merge a strategic patch into an object: lists whose entries have a type are merged by it."""
        with self.lock:
            _merge_by_type(self.objects[path], wanted)
            self._write()
            return copy.deepcopy(self.objects[path])

    def delete(self, path: str) -> bool:
        """Forget an object, and what is in it if it is a namespace; whether there was one."""
        with self.lock:
            found = self.objects.pop(path, None) is not None
            # A namespace takes with it what is in it, of whatever group.
            inside = path.removeprefix("/api/v1") + "/" if path.startswith("/api/v1/namespaces/") else path
            for gone in [path, *(other for other in self.objects if inside in other)]:
                self.objects.pop(gone, None)
                self.applied.pop(gone, None)
            self._write()
            return found

    def _write(self) -> None:
        content = {"objects": self.objects, "applied": self.applied}
        write_if_other(self.file, json.dumps(content, indent=1, sort_keys=True), 0o600)


def _merge(live: Object, wanted: Object) -> None:
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(live.get(key), dict):
            _merge(live[key], value)
        else:
            live[key] = copy.deepcopy(value)


def _remove(live: Object, before: Object, wanted: Object) -> None:
    for key, value in before.items():
        if key not in wanted:
            live.pop(key, None)
        elif isinstance(value, dict) and isinstance(live.get(key), dict) and isinstance(wanted[key], dict):
            _remove(live[key], value, wanted[key])


def _merge_by_type(live: Object, wanted: Object) -> None:
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(live.get(key), dict):
            _merge_by_type(live[key], value)
        elif isinstance(value, list) and all(isinstance(each, dict) and "type" in each for each in value):
            kinds = {each["type"] for each in value}
            live[key] = [each for each in live.get(key, []) if each["type"] not in kinds] + copy.deepcopy(value)
        else:
            live[key] = copy.deepcopy(value)
