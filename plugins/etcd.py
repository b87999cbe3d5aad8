"""etcd on the master: one member, which nobody but the API server beside it talks to."""

from __future__ import annotations

from dataclasses import dataclass

from nornir.core.task import Task

from plugins.kubernetes import Placement, authority_file, placement


@dataclass(frozen=True)
class Etcd:
    """How etcd runs: `place` is its own pair, for clients and for members to come."""

    name: str
    url: str
    peer_url: str
    place: Placement
    authority: str


def etcd_of(task: Task) -> Etcd:
    """Describe etcd on the task's host. It listens on the loopback alone: the API server is its only client."""
    return Etcd(
        name=task.host.name,
        url="https://127.0.0.1:2379",
        peer_url="https://127.0.0.1:2380",
        place=placement("etcd"),
        authority=authority_file("etcd"),
    )
