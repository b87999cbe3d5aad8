"""Nornir inventory plugin: hosts.yaml, groups.yaml and defaults.yaml, checked as a whole before anything is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nornir.core.inventory import Defaults, Group, Groups, Host, Hosts, Inventory, ParentGroups

from plugins.errors import InventoryError
from plugins.inventory.check import Member, check
from plugins.inventory.documents import Document, read
from plugins.inventory.explain import Hints
from plugins.inventory.findings import Finding
from plugins.inventory.layers import Layer, in_circle, lineage, merged, read_layer
from plugins.inventory.model import (
    ClusterSettings,
    DefaultsEntry,
    GroupEntry,
    HostData,
    HostEntry,
    HostSettings,
    Role,
)
from plugins.inventory.networks import NETWORKS, Networks
from plugins.releases import known_releases
from plugins.words import quoted, suggestion

CLUSTER = ("data", "cluster")
_HINTS: Hints = {
    "password": (
        "a password never stands in the inventory",
        "remove it, and write where it comes from: {env: NAME} in the password of data.ssh, data.winrm or data.sudo",
    ),
    "connection_options": (
        "the runbooks make the connections themselves",
        "remove it; data.ssh and data.winrm have what can be set",
    ),
    "role": ("a role is a group", "write groups: [master], [linux] or [windows]"),
    "settings": ("this is the name of what the runbooks make of these keys", "remove it"),
}
_HOST_HINTS = _HINTS | {"cluster": ("the cluster is the same for all hosts", "write it in defaults.yaml, under data")}
_SHARED_HINTS = {"address": ("an address belongs to one host", "write it in hosts.yaml, at the host, under data")}
# Stand in for keys that are wrong or missing, so that the others can still be checked against each other.
_PLACEHOLDERS = {
    "name": "placeholder",
    "pod_network": "10.0.0.0/16",
    "service_network": "10.1.0.0/16",
    "dns_address": "10.1.0.10",
}


@dataclass(frozen=True)
class _Files:
    """The three files, block by block."""

    hosts: Mapping[str, Layer]
    groups: Mapping[str, Layer]
    defaults: Layer
    findings: tuple[Finding, ...]

    @property
    def parents(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(layer.raw.get("groups") or ()) for name, layer in self.groups.items()}


class ValidatedInventory:
    """Loads the inventory of one folder; host.data["settings"] is a HostSettings, defaults' "cluster" the cluster."""

    def __init__(self, folder: str | Path = "inventory") -> None:
        self.folder = Path(folder).expanduser()

    def load(self) -> Inventory:
        """Read and check the three files; InventoryError holds everything that is wrong in them."""
        if not self.folder.is_dir():
            raise InventoryError([f"{self.folder}: there is no such inventory folder; name another one with -i FOLDER"])
        files = _read(self.folder)
        members = [_member(name, files, self.folder) for name in files.hosts]
        findings = [*files.findings, *_check_groups(files)]
        if files.hosts or files.defaults.raw:
            cluster = _cluster(files.defaults, self.folder)
            findings += [*check(members, cluster), *_check_release(files.defaults, self.folder)]
        if not findings:
            return _inventory(files, members, self.folder)
        raise InventoryError([str(finding) for finding in _sorted(findings, files)])


def _read(folder: Path) -> _Files:
    hosts = read(folder / "hosts.yaml", "hosts, each with its hostname and groups")
    groups = read(folder / "groups.yaml", "groups, one of them for each role that has hosts")
    defaults = read(folder / "defaults.yaml", "data.cluster", subject="defaults")
    wrong_names: list[Finding] = []
    host_layers = dict(_layers(hosts, HostEntry, folder, _HOST_HINTS, wrong_names))
    group_layers = dict(_layers(groups, GroupEntry, folder, _HOST_HINTS | _SHARED_HINTS, wrong_names))
    layer = Layer(defaults, (), {})
    if defaults.data is not None:
        layer = read_layer(defaults, (), defaults.data, DefaultsEntry, folder, _HINTS | _SHARED_HINTS)
    found = [finding for one in (*host_layers.values(), *group_layers.values(), layer) for finding in one.findings]
    yaml = [finding for document in (hosts, groups, defaults) for finding in document.findings]
    return _Files(host_layers, group_layers, layer, (*yaml, *wrong_names, *found))


def _layers(
    document: Document, model: Any, folder: Path, hints: Hints, wrong: list[Finding]
) -> Iterator[tuple[str, Layer]]:
    for name, raw in (document.data or {}).items():
        if isinstance(name, str):
            yield name, read_layer(document, (name,), raw, model, folder, hints)
        else:
            wrong.append(document.finding((str(name),), "YAML does not take this name for text", "put it in quotes"))


def _member(name: str, files: _Files, folder: Path) -> Member:
    own = files.hosts[name]
    named = own.raw.get("groups") or ()
    groups = lineage(named, files.parents)
    layers = (own, *(files.groups[group] for group in groups), files.defaults)
    data = merged(layer.data for layer in reversed(layers))
    data.pop("cluster", None)
    inherited = {
        key: next((layer.raw[key] for layer in layers if layer.raw.get(key) is not None), None)
        for key in ("hostname", "port")
    }
    return Member(
        name=name,
        layers=layers,
        roles=tuple(role for role in Role if role.value in {*named, *groups}),
        hostname=inherited["hostname"],
        port=inherited["port"],
        data=HostData.model_validate(data, context={"folder": folder}),
        named=all(group in files.groups for group in named),
    )


def _check_groups(files: _Files) -> Iterator[Finding]:
    """Find groups that do not exist, and those that inherit from themselves."""
    known, parents = list(files.groups), files.parents
    for layer in (*files.hosts.values(), *files.groups.values()):
        for group in layer.raw.get("groups") or ():
            if group not in files.groups and files.groups:
                problem = f"there is no group {quoted(group)} in groups.yaml"
                todo = (
                    f"add it there: {group}: {{}}" if group in set(Role) else suggestion(group, known, "known groups")
                )
                yield layer.finding(("groups",), problem, todo)
    for name in known:
        if in_circle(name, parents):
            yield files.groups[name].finding(("groups",), "the group inherits from itself", "break the circle")


def _cluster(defaults: Layer, folder: Path) -> Networks:
    """Give what could be read of the cluster."""
    raw = defaults.data.get("cluster")
    raw = raw if isinstance(raw, dict) else {}
    filled = _PLACEHOLDERS | raw
    values = ClusterSettings.model_validate(filled, context={"folder": folder}).model_dump()
    sound = {key: value for key, value in values.items() if key in raw or key not in _PLACEHOLDERS}
    broken = {found.key.split(".")[2] for found in defaults.findings if found.key.startswith("data.cluster.")}
    sound = {key: value for key, value in sound.items() if key not in broken and value is not None}
    return Networks(
        finding=lambda path, problem, todo: defaults.finding((*CLUSTER, *path), problem, todo),
        networks={key: sound[key] for key in NETWORKS if key in sound},
        node_prefix=sound.get("node_prefix"),
        dns_address=sound.get("dns_address"),
        ports={key: value for key, value in sound.items() if key.endswith("_port")},
        kubernetes=sound.get("kubernetes", True),
        hybrid_prefix=sound.get("hybrid_prefix"),
        name=sound.get("name", ""),
    )


def _check_release(defaults: Layer, folder: Path) -> Iterator[Finding]:
    if defaults.has((*CLUSTER, "release")):
        name, known = defaults.data["cluster"]["release"], known_releases(folder)
        if name not in known:
            todo = suggestion(name, list(known), "known releases")
            yield defaults.finding((*CLUSTER, "release"), f"there is no release {quoted(name)}", todo)


def _sorted(findings: list[Finding], files: _Files) -> list[Finding]:
    """Sort by file, then by the order of hosts or groups in it; what a group hands to many hosts is said once."""
    names = ["hosts.yaml", "groups.yaml", "defaults.yaml"]
    order = {subject: place for place, subject in enumerate(("", *files.hosts, *files.groups))}

    def place(finding: Finding) -> tuple[int, int]:
        return names.index(Path(finding.file).name), order.get(finding.subject, len(order))

    return sorted(dict.fromkeys(findings), key=place)


def _inventory(files: _Files, members: list[Member], folder: Path) -> Inventory:
    """Make Nornir's objects out of files without errors."""
    cluster = DefaultsEntry.model_validate(files.defaults.raw, context={"folder": folder}).data.cluster
    defaults = Defaults(**_own(files.defaults), data={"cluster": cluster})
    groups = Groups({name: Group(name=name, **_own(layer), defaults=defaults) for name, layer in files.groups.items()})
    for name, parents in files.parents.items():
        groups[name].groups = ParentGroups(groups[parent] for parent in parents)
    hosts = Hosts()
    for member in members:
        own = member.layers[0]
        hosts[member.name] = Host(
            name=member.name,
            **_own(own),
            groups=ParentGroups(groups[group] for group in own.raw["groups"]),
            data={"settings": _settings(member)},
            defaults=defaults,
        )
    return Inventory(hosts=hosts, groups=groups, defaults=defaults)


def _own(layer: Layer) -> dict[str, Any]:
    return {key: layer.raw.get(key) for key in ("hostname", "port", "username", "platform")}


def _settings(member: Member) -> HostSettings:
    inherited = {key: getattr(member.data, key) for key in HostData.model_fields}
    own = {"name": member.name, "role": member.role, "address": member.address, "transport": member.transport}
    return HostSettings(**(inherited | own))
