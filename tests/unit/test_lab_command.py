"""`python -m runbooks.lab` as an operator types it, as far as it needs no root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# In a user namespace without any mapping the same process is nobody, and still may read the project's files.
AS_NOBODY = ["unshare", "--user"] if os.geteuid() == 0 else []


def lab(*arguments: str, folder: Path, root: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "OVN_RUNBOOKS_LAB": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*([] if root else AS_NOBODY), sys.executable, "-m", "runbooks.lab", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_without_root_the_lab_refuses_and_names_the_other_way(tmp_path: Path, command: str) -> None:
    """Exit status 2, no traceback, nothing made."""
    done = lab(command, folder=tmp_path / "lab", root=False)
    assert done.returncode == 2
    assert "needs root" in done.stderr or "runs on Debian or Ubuntu" in done.stderr
    assert "python -m runbooks.simulate" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    "arguments", [("up", "--network", "10.142.0.1/20"), ("up", "--count", "99"), ("sideways",)], ids=str
)
def test_a_wrong_command_line_is_exit_status_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What was typed is named, before anything is looked at."""
    done = lab(*arguments, folder=tmp_path / "lab")
    assert done.returncode == 2
    assert arguments[-1] in done.stderr
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize("arguments", [(), ("up",), ("down",), ("status",)], ids=str)
def test_help_shows_examples(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Each command's help says how it is used."""
    done = lab(*arguments, "--help", folder=tmp_path / "lab")
    assert done.returncode == 0
    assert "Usage: python -m runbooks.lab" in done.stdout
    assert any(word in done.stdout for word in ("Examples", "Elsewhere", "Exit status"))


@pytest.mark.skipif(os.geteuid() != 0, reason="looking for a lab needs root")
def test_no_lab_is_exit_status_1_for_status_and_0_for_down(tmp_path: Path) -> None:
    """Status says what makes one; taking nothing away is no failure."""
    done = lab("status", folder=tmp_path / "lab")
    assert (done.returncode, "runbooks.lab up" in done.stdout) == (1, True)
    done = lab("down", folder=tmp_path / "lab")
    assert (done.returncode, "no lab" in done.stdout) == (0, True)
