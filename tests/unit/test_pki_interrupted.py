"""The store killed (SIGKILL) at every line that it runs: what is left is the old or the new, never a mix.

Run as a program, this file is the harness: it has one thread, so it may fork.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

NOW = datetime(2026, 5, 4, tzinfo=UTC)
LATER = NOW + timedelta(days=350)  # the leaf of NOW is due by then

WRITERS = ("plugins/pki/store.py", "plugins/pki/files.py", "plugins/pki/disk.py")


def make_authority(folder: Path) -> None:
    _store(folder).ensure_authority("ovn", NOW, master=None)


def make_leaf(folder: Path) -> None:
    _store(folder).ensure_leaf("ovn", _names(), NOW)


def renew_leaf(folder: Path) -> None:
    _store(folder).ensure_leaf("ovn", _names(), LATER)


STEPS: dict[str, tuple[Callable[[Path], None], ...]] = {
    "authority": (make_authority,),
    "leaf": (make_authority, make_leaf),
    "renewal": (make_authority, make_leaf, renew_leaf),
}


@pytest.mark.parametrize("name", STEPS)
def test_killed_at_every_line(tmp_path, name):
    """Afterwards the files read as before or as new, and a further run completes and leaves nothing behind."""
    command = [sys.executable, __file__, name, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": "."})
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    # The harness itself is proven here: it met both outcomes, and kills in the middle of writing.
    assert seen["old"] > 10
    assert seen["new"] > 2
    assert seen["remains"] > 5


def _store(folder: Path) -> Any:
    from plugins.pki.store import Store  # noqa: PLC0415  # pytest sets the path up only later

    return Store(folder / "pki", "demo")


def _names() -> Any:
    from plugins.pki.profiles import Names  # noqa: PLC0415

    return Names("demo", "linux-1", "cluster.local", (ip_address("10.142.0.3"),))


def _killed_at(line: int, action: Callable[[Path], None], folder: Path) -> bool:
    """Run an action in a child that kills itself before its nth line in WRITERS; False when it got through."""
    child = os.fork()
    if child == 0:
        left = line

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if not frame.f_code.co_filename.endswith(WRITERS):
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        action(folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise SystemExit(f"line {line}: the child failed")
    return os.WIFSIGNALED(status)


def _look(folder: Path) -> tuple[str | None, str | None]:
    """Read what is there as the next run will: fingerprint and leaf; raises when it is half of anything."""
    from plugins.pki.files import read_authority, read_leaf  # noqa: PLC0415

    authority = read_authority(folder / "pki/authorities/ovn", None)
    leaf = read_leaf(folder / "pki/leaves/ovn/linux-1.pem", None)
    if isinstance(leaf, str) and leaf != "there is none yet":
        raise SystemExit(f"the leaf is broken: {leaf}")
    return (
        None if authority is None else f"{authority.certificate.serial_number:x}",
        None if isinstance(leaf, str) else f"{leaf.certificate.serial_number:x}",
    )


def _main(name: str, work: Path) -> None:
    *before, action = STEPS[name]
    start = work / "start"
    start.mkdir()
    for step in before:
        step(start)
    old, seen, line = _look(start), Counter[str](), 0
    while True:
        line += 1
        folder = Path(tempfile.mkdtemp(dir=work)) / "state"
        shutil.copytree(start, folder)
        killed = _killed_at(line, action, folder)
        found = _look(folder)
        seen["old" if found == old else "new"] += 1
        seen["remains"] += any(folder.rglob(".*.new"))
        action(folder)  # the next run
        after = _look(folder)
        if found not in (old, after):
            raise SystemExit(f"line {line}: what was complete was made again")
        if after == old:
            raise SystemExit(f"line {line}: the next run did not complete the work")
        if any(folder.rglob(".*.new")):
            raise SystemExit(f"line {line}: something is left behind")
        shutil.rmtree(folder.parent)
        if not killed:
            break
    print(json.dumps({"old": 0, "new": 0, **seen}))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
