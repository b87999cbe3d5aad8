"""Simulated hosts with a client for them: the project's own connections, and its runbooks as commands."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from nornir.core import Nornir

from plugins.connections import close_shell, open_shell
from plugins.connections.base import Completed, Shell
from plugins.context import RunContext, attach
from plugins.languages import language_of
from plugins.releases import load_release
from plugins.settings import ROOT, init, load_settings
from plugins.simulate.cluster import SimulatedCluster
from plugins.steps import Output, Step, Transcript, parse_line


@dataclass
class Said:
    """What one script said, and how it ended for the client."""

    completed: Completed
    transcript: Transcript = field(default_factory=Transcript)
    output: list[str] = field(default_factory=list)

    @property
    def steps(self) -> list[Step]:
        """The steps that ended."""
        return self.transcript.steps

    @property
    def statuses(self) -> list[str]:
        """How they ended."""
        return [step.status.value for step in self.steps]


class Simulated(SimulatedCluster):
    """Simulated hosts, with a client for them: the project's own connections, and its runbooks as commands."""

    _nornir: Nornir | None = None

    @property
    def nornir(self) -> Nornir:
        """Nornir on the hosts' inventory, with a run's context."""
        if self._nornir is None:
            settings = replace_state(load_settings(ROOT / "config.yaml"), self.state_folder)
            self._nornir = init(self.inventory, settings)
            cluster = self._nornir.inventory.defaults.data["cluster"]
            self.context = RunContext(settings, cluster, load_release(cluster.release, self.inventory))
            attach(self._nornir, self.context)
        return self._nornir

    def set_cluster(self, **keys: object) -> None:
        """Change settings of the cluster in the inventory."""
        self._set("cluster", keys)

    def set_sudo_password(self, password: str) -> None:
        """Have the inventory give a password for sudo, whether the hosts ask for one or not."""
        self._set("sudo", {"password": {"file": str(self._secret("sudo-password", password.encode()))}})

    def set_ssh(self, **keys: object) -> None:
        """Change how the inventory says that hosts are reached over SSH."""
        self._set("ssh", keys)

    def _set(self, group: str, keys: dict[str, object]) -> None:
        file = self.inventory / "defaults.yaml"
        content = yaml.safe_load(file.read_text())
        content["data"].setdefault(group, {}).update(keys)
        file.write_text(yaml.safe_dump(content))

    def shell(self, host: str) -> Shell:
        """Open (or give the open) shell of a host."""
        return open_shell(self.nornir.inventory.hosts[host], self.context, again=True)

    def hang_up(self) -> None:
        """Close every connection."""
        for host in self._nornir.inventory.hosts.values() if self._nornir else ():
            close_shell(host)

    def run(
        self, host: str, body: str, *, deadline: float = 20, wait: float = 5, dry_run: bool = False, stage: str = "test"
    ) -> Said:
        """Run a script body on a host, in its language, as the stage `stage`."""
        marker = f"@{secrets.token_hex(16)} "
        language = language_of(self.nornir.inventory.hosts[host])
        script = language.assemble(body, marker=marker, dry_run=dry_run, wait=wait, owner=f"tester, {stage}")
        said = Said(Completed(None))

        def on_line(raw: bytes) -> None:
            event = parse_line(raw, marker)
            said.transcript.add(event)
            if isinstance(event, Output) and event.text:
                said.output.append(event.text)

        said.completed = self.shell(host).run(script.encode(), deadline=deadline, on_line=on_line)
        return said

    def command(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `python -m WORDS` against the hosts."""
        return subprocess.run(
            [sys.executable, "-m", *words],
            env=os.environ | self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def stop(self) -> None:
        """Hang up first, so that no client's thread outlives the test."""
        self.hang_up()
        super().stop()


def replace_state(settings, folder: Path):
    """Keep a run's state, logs included, beside the hosts."""
    return settings.model_copy(update={"state_folder": folder, "log_folder": folder / "logs"})


Simulate = Callable[..., Simulated]
