"""Switching one host on and off."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from plugins.errors import HostError
from plugins.lab.commands import run, tail
from plugins.lab.host import HostFolder, Run
from plugins.lab.supervisor import GRACE_SECONDS

PROJECT = Path(__file__).resolve().parents[2]


def machine_has_systemd() -> bool:
    """Whether systemd runs this machine; its services then have to be asked of it."""
    return Path("/run/systemd/system").is_dir()


def start(folder: HostFolder) -> None:
    """Start the host's supervisor, which outlives us. Raises HostError when it does not take the host up."""
    clear_rests(folder)
    folder.write_run(Run())
    spec = folder.read_spec()
    assert spec is not None, "a host is described before it is started"
    log = folder.path / "supervisor.log"
    log.unlink(missing_ok=True)
    path = f"PATH={os.environ['PATH']}"
    module = "plugins.lab.windows.supervisor" if spec.windows else "plugins.lab.supervisor"
    keep = ["unshare", "--mount", "--propagation", "slave", sys.executable, "-m", module]
    if spec.unit:
        unit = ["systemd-run", "--quiet", "--collect", f"--unit={spec.unit}", "--property=Delegate=yes"]
        unit += ["--property=KillMode=mixed", f"--property=StandardError=append:{log}", f"--setenv={path}"]
        run([*unit, f"--working-directory={PROJECT}", *keep, str(folder.path)])
    else:
        with log.open("w") as output:
            done = subprocess.run(
                ["setsid", "--fork", "env", "-i", path, *keep, str(folder.path)],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        if done.returncode != 0:
            raise HostError(folder.name, "start", f"setsid: exit status {done.returncode}\n{tail(log.read_text())}")
    until = time.monotonic() + 10
    while not (folder.is_supervised() and folder.read_run().leader):
        ended = folder.read_run().ended
        if ended or time.monotonic() > until:
            raise HostError(folder.name, "start", f"{ended or 'no host within 10 s'}\n{tail(_log(folder))}")
        time.sleep(0.02)


def stop(folder: HostFolder) -> None:
    """Power the host off with a short grace, and leave no process or control group of it. Idempotent."""
    state = folder.read_run()
    if folder.is_supervised() and state.supervisor:
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.supervisor, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS + 2
        while folder.is_supervised() and time.monotonic() < until:
            time.sleep(0.02)
    clear_rests(folder)


def clear_rests(folder: HostFolder) -> None:
    """End what is left of a host whose supervisor was killed, and a supervisor that does not end."""
    state, spec = folder.read_run(), folder.read_spec()
    if spec is not None and spec.unit:
        run(["systemctl", "kill", "--signal=KILL", spec.unit], check=False)
        run(["systemctl", "stop", spec.unit], check=False)
    if folder.is_supervised() and state.supervisor:
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.supervisor, signal.SIGKILL)
    try:
        folder.kill()
    except TimeoutError as error:
        raise HostError(folder.name, "stop", str(error)) from error


def _log(folder: HostFolder) -> str:
    texts = [f.read_text(errors="replace") for f in (folder.console, folder.path / "supervisor.log") if f.exists()]
    return "\n".join(texts)
