"""Hosts for the tests of facts and probes: a network namespace each, on an overlay of this machine's own root.

What a script writes shows up in the overlay's upper folder, so "nothing was written" is a comparison of folders.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripting import MARK, Said

from plugins.scripts import assemble, quote
from plugins.steps import Transcript, parse_line

# The upper folder must not lie inside the lower one, hence a tmpfs; /run is the host's own.
SETUP = """
set -e
mount -t tmpfs tmpfs {scratch}
mkdir {scratch}/upper {scratch}/work {scratch}/root
mount -t overlay overlay -o lowerdir=/,upperdir={scratch}/upper,workdir={scratch}/work {scratch}/root
for folder in proc sys dev; do mount --rbind /$folder {scratch}/root/$folder; done
mount -t tmpfs tmpfs {scratch}/root/run
mount -t tmpfs tmpfs {scratch}/root/tmp
set +e
written() {{ find {scratch}/upper {scratch}/root/run -mindepth 1 -printf '%P %s %T@ %m\\n' | sort; }}
chroot {scratch}/root bash -c {prefix} </dev/null
written >{scratch}/before
chroot {scratch}/root bash -c 'eval "$(cat)"'
status=$?
written | comm -13 {scratch}/before - >{written}
exit $status
"""


@dataclass(frozen=True)
class Ran(Said):
    """What a script said, how it ended, and the names of what it wrote below / and /run."""

    written: list[str]


@dataclass(frozen=True)
class Host:
    """A network namespace with one NIC, eth0."""

    name: str
    namespace: str
    address: str
    scratch: Path

    def run(self, body: str, *, dry_run: bool = False, prefix: str = ":", timeout: float = 60) -> Ran:
        """Run a script body as root on the host; `prefix` is run before, in the same overlay."""
        written = self.scratch.parent / f"{self.name}-written"
        script = assemble(body, marker=MARK, dry_run=dry_run, wait=5, owner="test")
        setup = SETUP.format(scratch=self.scratch, prefix=quote(prefix), written=written)
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, "unshare", "--mount", "bash", "-c", setup],
            input=script.encode(),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        transcript = Transcript()
        for raw in done.stdout.split(b"\n"):
            transcript.add(parse_line(raw, MARK))
        names = [line.split()[0] for line in written.read_text().splitlines()]
        return Ran(transcript, done.returncode, done.stderr.decode(errors="replace"), names)

    def command(self, *words: str) -> str:
        """Run a command in the namespace, give its output."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, *words], capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout

    def holders(self) -> str:
        """All sockets that are bound, with their processes."""
        return self.command("ss", "-Hlntup")


@contextmanager
def pair(folder: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts on one link, each the other's default gateway."""
    tag = secrets.token_hex(3)
    hosts = []
    with ExitStack() as stack:
        for number, name in ((1, "a"), (2, "b")):
            scratch = folder / f"scratch-{name}"
            scratch.mkdir()
            host = Host(name, f"t{tag}{name}", f"10.99.0.{number}", scratch)
            _ip("netns", "add", host.namespace)
            stack.callback(_remove, host)
            hosts.append(host)
        one, two = hosts
        link = ["link", "add", "eth0", "netns", one.namespace, "type", "veth"]
        _ip(*link, "peer", "name", "eth0", "netns", two.namespace)
        for host, other in ((one, two), (two, one)):
            for words in (
                ["addr", "add", f"{host.address}/24", "dev", "eth0"],
                ["link", "set", "lo", "up"],
                ["link", "set", "eth0", "up"],
                ["route", "add", "default", "via", other.address],
            ):
                _ip("-n", host.namespace, *words)
        yield one, two


def _remove(host: Host) -> None:
    for pid in subprocess.run(
        ["ip", "netns", "pids", host.namespace], capture_output=True, text=True, check=False
    ).stdout.split():
        subprocess.run(["kill", "-9", pid], check=False)
    _ip("netns", "del", host.namespace)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
