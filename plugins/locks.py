"""One changing run at a time on a cluster: a lock in the state folder, and one on the master.

Both are kernel locks, so they are free as soon as whoever held them is gone, however it went.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nornir.core import Nornir

from plugins.connections import open_shell
from plugins.connections.base import Holder
from plugins.context import RunContext
from plugins.errors import LockedError
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.scripts import assemble, render
from plugins.steps import Status, Transcript, parse_line

BEAT = 10.0  # seconds
SILENCE = 60  # seconds without a beat after which the master lets go
ANSWER = 60.0  # seconds to wait for the master's answer


@contextmanager
def local_lock(folder: Path, owner: str) -> Iterator[None]:
    """Hold the state folder's lock; raises LockedError that says who has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 1024, 0).decode(errors="replace").strip() or "another run"
            raise LockedError(f"this cluster is being changed by {holder}; wait for it, or end it") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{owner}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


class MasterLock:
    """The lock on the master, kept alive by a thread that sends beats; `lost` is set when it is gone."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self._over = threading.Event()
        self.lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="cluster-lock", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            if not self._holder.beat():
                self.lost.set()
                return

    def release(self) -> None:
        """Let go of the lock."""
        self._over.set()
        self._holder.close()


def lock_master(nornir: Nornir, context: RunContext) -> MasterLock:
    """Take the lock on the master. Raises LockedError (who, since when) and UnreachableError."""
    master = next(host for host in nornir.inventory.hosts.values() if host_settings(host).role is Role.MASTER)
    marker = f"@{secrets.token_hex(16)} "
    body = render("linux/hold_cluster_lock.sh.j2", context.release.name, {"owner": context.owner, "seconds": SILENCE})
    script = assemble(body, marker=marker, dry_run=False, wait=ANSWER, owner=f"{context.owner}, cluster lock")
    transcript, answered = Transcript(), threading.Event()

    def on_line(raw: bytes) -> None:
        transcript.add(parse_line(raw, marker))
        if transcript.steps:
            answered.set()

    holder = open_shell(master, context).hold(script.encode(), on_line=on_line)
    if answered.wait(ANSWER) and transcript.steps[-1].status is Status.OK:
        return MasterLock(holder)
    holder.close()
    seen = transcript.steps[-1].message if transcript.steps else "the master did not answer"
    raise LockedError(f"the cluster's lock on {master.name}: {seen}; wait for that run, or end it")
