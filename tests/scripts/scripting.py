"""Runs assembled scripts with a real bash in a mount namespace of its own, so that /run and /etc stay as they are."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plugins.scripts import assemble
from plugins.steps import Step, Transcript, parse_line

MARK = "@feedc0de "
Run = Callable[..., "Said"]


@dataclass(frozen=True)
class Said:
    """What a script said and how it ended."""

    transcript: Transcript
    status: int
    stderr: str

    @property
    def steps(self) -> list[Step]:
        """The steps, in order."""
        return self.transcript.steps

    @property
    def statuses(self) -> list[str]:
        """How each step ended."""
        return [step.status.value for step in self.steps]


def run_body(
    folder: Path, body: str, *, dry_run: bool = False, wait: float = 5, prefix: str = "", data: bytes | None = None
) -> Said:
    """Run `body` as root with `folder` as /run/ovn-runbooks; `prefix` is run before it in the same bash.

    `data` is the script's input, which then comes behind it, as it does over SSH.
    """
    script = assemble(body, marker=MARK, dry_run=dry_run, wait=wait, owner="test")
    take = '"$(cat)"' if data is None else '"$(IFS= read -r l && printf %s "$l" | base64 -d)"'
    sent = script.encode() if data is None else base64.b64encode(script.encode()) + b"\n" + data
    inside = f"mkdir -p /run/ovn-runbooks && mount --bind {folder} /run/ovn-runbooks && {prefix} eval {take}"
    command = ["unshare", "--mount", "bash", "-c", inside]
    done = subprocess.run(command, input=sent, capture_output=True, timeout=120, check=False)
    transcript = Transcript()
    for raw in done.stdout.split(b"\n"):
        transcript.add(parse_line(raw, MARK))
    return Said(transcript, done.returncode, done.stderr.decode(errors="replace"))
