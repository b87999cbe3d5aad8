"""An operator of a lab's cluster: runs the runbooks as commands, and looks into the hosts past them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waiting import eventually

from plugins.errors import RunbookError
from plugins.lab import LabOptions, LabState, fingerprint, power_cycle, run_inside, up
from plugins.lab.host import HostFolder
from plugins.lab.options import LabPaths
from plugins.lab.windows.disk import read_disk
from plugins.overlay import AUTHORITY
from plugins.settings import ROOT
from plugins.simulate.state import HostState

LOCKED = 3  # the exit status where another run holds the cluster
BOOT = "cat /proc/sys/kernel/random/boot_id"
LEFTOVERS = """
ip netns list | grep -o ovn-runbooks-probe
ip -brief link | grep -o ovnrbprobe
ovs-vsctl --bare --columns=name find Interface name=ovnrbprobe
if [ -S /run/ovn/ovnnb_db.sock ]; then
  ovn-nbctl --bare --columns=name find Logical_Switch name=ovn-runbooks-probe
  ovn-sbctl --bare --columns=logical_port list Port_Binding
fi
"""


@dataclass(frozen=True)
class Ran:
    """How a runbook ended, all that it printed, and its report."""

    status: int
    text: str
    report: dict[str, Any]

    def host(self, name: str) -> str:
        """A host's status."""
        return str(self.report["hosts"][name]["status"])

    @property
    def hosts(self) -> dict[str, str]:
        """Every host's status."""
        return {name: self.host(name) for name in self.report["hosts"]}

    def stages(self, name: str) -> dict[str, str]:
        """A host's stages and their statuses."""
        return {stage["name"]: stage["status"] for stage in self.report["hosts"][name]["stages"]}

    def steps(self, name: str, stage: str) -> dict[str, dict[str, Any]]:
        """The steps of one stage of a host, by name."""
        found = next(each for each in self.report["hosts"][name]["stages"] if each["name"] == stage)
        return {step["name"]: step for step in found["steps"]}

    def all_steps(self, name: str) -> list[dict[str, Any]]:
        """The steps of all stages of a host."""
        return [step for stage in self.report["hosts"][name]["stages"] for step in stage["steps"]]

    def count(self, status: str) -> int:
        """How many steps of all hosts ended with this status."""
        return sum(step["status"] == status for name in self.report["hosts"] for step in self.all_steps(name))


@dataclass
class Cluster:
    """A lab and its operator; `folder` has the operator's state and reports, `mirror` the downloads."""

    options: LabOptions
    lab: LabState
    folder: Path
    mirror: Path | None = None
    lives: int = 0
    overlays: set[int] = field(default_factory=set)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the hosts, the master first."""
        return tuple(host.name for host in self.lab.hosts)

    @property
    def linux(self) -> tuple[str, ...]:
        """Names of the hosts that run programs, the master first."""
        return tuple(host.name for host in self.lab.hosts if not host.windows)

    @property
    def windows(self) -> tuple[str, ...]:
        """Names of the simulated Windows hosts."""
        return tuple(host.name for host in self.lab.hosts if host.windows)

    @property
    def state(self) -> Path:
        """The operator's state folder, another one for each life of the hosts."""
        return self.folder / f"state-{self.lives}"

    def renew(self, **options: object) -> None:
        """Make every host bare again, and the operator as new."""
        # What is not asked for stays as it was.
        wanted = LabOptions(**{**vars(self.options), "fresh": True, **options})
        self.lab = up(wanted, lambda _: None)
        self.lives += 1

    def command(self, runbook: str, *words: str, inventory: Path | None = None) -> list[str]:
        """Words of a runbook's command line."""
        if self.mirror and runbook in ("bootstrap", "task", "artifacts"):
            words = (*words, "--mirror", str(self.mirror))
        return [sys.executable, "-m", f"runbooks.{runbook}", *words, "-i", str(inventory or self.lab.inventory)]

    @property
    def environment(self) -> dict[str, str]:
        """The operator's environment; without a colour or a width of whoever runs the tests."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "OVN_RUNBOOKS_STATE": str(self.state)}

    def run(self, runbook: str, *words: str, inventory: Path | None = None, timeout: float = 240) -> Ran:
        """Run a runbook to its end."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        command = self.command(runbook, *words, "--report", str(report), inventory=inventory)
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        text = done.stdout + done.stderr
        ran = Ran(done.returncode, text, json.loads(report.read_text()) if report.exists() else {})
        if runbook == "bootstrap" and ran.status == 0 and "--dry-run" not in words:
            self.overlays.add(self.lives)
        return ran

    def run_when_free(self, runbook: str) -> Ran:
        """Run a runbook after a killed one: the master hears of its end a moment later, after a minute at most."""
        for _ in range(90):
            ran = self.run(runbook)
            if ran.status != LOCKED:
                break
            time.sleep(1)
        return ran

    def pin(self) -> None:
        """Pin every download as the mirror has it."""
        subprocess.run(self.command("artifacts", "lock"), cwd=ROOT, env=self.environment, check=True, timeout=60)

    def kill_at(self, seen: Callable[[str], bool], runbook: str, *words: str) -> str:
        """Start a runbook, and kill its process when a line of it is `seen`; give what it said until then."""
        command, lines = self.command(runbook, *words), []
        with subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if seen(line):
                    process.kill()
                    break
            else:
                raise AssertionError(f"it came to its end: {''.join(lines)}")
        return "".join(lines)

    def overlay(self) -> None:
        """Have an overlay, whichever tests have been chosen to run."""
        if self.lives not in self.overlays:
            ran = self.run("bootstrap")
            assert ran.status == 0, ran.text

    def shell(self, host: str, text: str) -> str:
        """Run shell text as root in a host; give its output."""
        return run_inside(self.lab.folder, host, ["bash", "-c", text], check=False).stdout.strip()

    def reboot(self) -> None:
        """Tell every host to reboot, and wait until each has."""
        before = self.boots()
        for host in self.linux:
            self.shell(host, "systemctl reboot")
        for host in self.windows:
            power_cycle(self.lab.folder, host)
        self.until(
            lambda: all(boot not in ("", before[host]) for host, boot in self.boots().items()), "new boot of all"
        )

    def until(self, come: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Wait for what comes by itself."""
        assert eventually(come, seconds, every=0.5), f"no {what} within {seconds:.0f} s"

    def boots(self) -> dict[str, str]:
        """Every host's boot id; empty while it is down."""
        found = {}
        for host in self.linux:
            try:
                found[host] = self.shell(host, BOOT)
            except RunbookError:
                found[host] = ""
        return found | {host: self.windows_state(host).boot_id for host in self.windows}

    def windows_state(self, host: str) -> HostState:
        """All that a simulated Windows host is, as its disk has it."""
        return read_disk(HostFolder(LabPaths(self.lab.folder).host(host)))

    def disks(self) -> dict[str, str]:
        """Every changed file of every host, with a hash; logs and /run aside."""
        return {
            f"{host}:{path}": look for host in self.hosts for path, look in fingerprint(self.lab.folder, host).items()
        }

    def leftovers(self) -> dict[str, str]:
        """What a traffic probe has left, by host."""
        return {host: found for host in self.linux if (found := self.shell(host, LEFTOVERS))}

    def authorities(self) -> set[str]:
        """Hashes of the CA certificates on the hosts."""
        return {hashlib.sha256(self.shell(host, f"cat {AUTHORITY}").encode()).hexdigest() for host in self.linux}

    @contextmanager
    def other_inventory(self, change: Callable[[Path], None]) -> Iterator[Path]:
        """A copy of the inventory with something changed in it."""
        copy = self.folder / "other-inventory"
        shutil.copytree(self.lab.inventory, copy)
        try:
            change(copy)
            yield copy
        finally:
            shutil.rmtree(copy)
