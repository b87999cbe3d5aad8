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
from time import monotonic

from nornir.core import Nornir

from plugins.connections import open_shell
from plugins.connections.base import Completed, Holder
from plugins.context import RunContext
from plugins.errors import HostError, LockedError, ScriptError, UsageError
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.scripts import assemble, render
from plugins.steps import Status, Transcript, parse_line, visible

STEP = "cluster lock"  # what the verb calls it
WAIT = "wait for "  # what a script's step for another script's end begins with
BEAT = 5.0  # seconds
SILENCE = 60  # seconds without a beat after which the master lets go
ANSWER = 60.0  # seconds to wait for the master's answer
SETTING_OUT = 10.0  # of them, for the script's way to the master: it must say in time whom it waited for in vain
GLANCE = 0.1  # seconds between looks whether the lock's script is still there to answer


@contextmanager
def local_lock(folder: Path, owner: str) -> Iterator[None]:
    """Hold the state folder's lock; raises LockedError that says who has it, UsageError where there can be none."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        todo = "correct its owner and mode, or write another state_folder into config.yaml"
        raise UsageError(f"state folder {folder} cannot be written to ({error.strerror}); {todo}") from None
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
    """The lock on the master, kept alive by a thread that sends beats.

    A reboot or a network change of the master ends its connection and with it the lock, so the thread takes it
    again as soon as the master is back. Where another run was faster, `taken` says who, and the run is stopped.
    """

    def __init__(self, nornir: Nornir, context: RunContext) -> None:
        self._master = next(h for h in nornir.inventory.hosts.values() if host_settings(h).role is Role.MASTER)
        self._context = context
        self._over = threading.Event()
        self.taken = ""
        self._holder = self._take()
        self._thread = threading.Thread(target=self._keep, name="cluster-lock", daemon=True)
        self._thread.start()

    def _take(self) -> Holder:
        """Take the lock. Raises LockedError (who, since when), UnreachableError, and ScriptError without an answer."""
        marker = f"@{secrets.token_hex(16)} "
        values = {"owner": self._context.owner, "seconds": SILENCE}
        body = render("linux/hold_cluster_lock.sh.j2", self._context.release.name, values)
        owner = f"{self._context.owner}, cluster lock"
        script = assemble(body, marker=marker, dry_run=False, wait=ANSWER - SETTING_OUT, owner=owner)
        transcript, answered = Transcript(), threading.Event()

        def on_line(raw: bytes) -> None:
            transcript.add(parse_line(raw, marker))
            # Before it there may be a step that waited for another script, and did so in vain.
            if any(step.name == STEP or step.status is Status.FAILED for step in transcript.steps):
                answered.set()

        holder = open_shell(self._master, self._context).hold(script.encode(), on_line=on_line)
        until = monotonic() + ANSWER
        while not answered.wait(GLANCE) and holder.ended() is None and monotonic() < until:
            pass
        answer, done = transcript.steps[-1] if answered.is_set() else None, holder.ended()
        if answer is not None and answer.status is Status.OK:
            return holder
        holder.close()
        if answer is None:
            raise ScriptError(self._master.name, STEP, _unanswered(done))
        if answer.name != STEP and not answer.name.startswith(WAIT):
            raise ScriptError(self._master.name, answer.name, answer.message)
        raise LockedError(f"{self._master.name}: {answer.message}; wait for that run, or end it")

    def _keep(self) -> None:
        while not self._over.wait(BEAT):
            if self._holder.beat():
                continue
            try:
                self._holder = self._take()
            except HostError:
                continue
            except LockedError as error:
                # The master may not have noticed yet that our own last connection is gone.
                if self._context.owner not in str(error):
                    self.taken = str(error)
                    self._context.stop.set()
                    return

    def release(self) -> None:
        """Let go of the lock."""
        self._over.set()
        self._holder.close()


def _unanswered(done: Completed | None) -> str:
    """Say why there was no answer: the lock's script has ended, or it goes on without a word."""
    if done is None:
        return f"the lock's script said nothing within {ANSWER:g} s"
    how = done.lost or f"exit status {done.exit_status}"
    words = visible(done.stderr.decode(errors="replace")).strip().splitlines()
    return ": ".join([f"the lock's script ended without an answer ({how})", *words[-1:]])
