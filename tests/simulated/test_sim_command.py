"""`python -m runbooks.simulate`: what it runs, what it passes on, and that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from waiting import ended, eventually

from plugins.settings import ROOT

SERVER = "plugins.simulate.process"


@pytest.fixture
def simulate(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the command, with a folder for temporary files of its own."""

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "runbooks.simulate", *words],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a process group that a test can interrupt as a terminal does
        )

    return start


def children(pid: int) -> dict[int, str]:
    """Give the direct children of a process, with their command lines."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found[int(status.parent.name)] = (status.parent / "cmdline").read_text().replace("\0", " ")
        except (OSError, IndexError):
            continue
    return found


def started(process: subprocess.Popen[str]) -> dict[int, str]:
    """Wait until the hosts and COMMAND, a sleep, run; give both processes."""
    runs = eventually(lambda: any(line.startswith("sleep ") for line in children(process.pid).values()), seconds=30)
    assert runs, process.communicate(timeout=5)
    return children(process.pid)


def test_the_exit_status_is_the_commands(simulate, tmp_path: Path) -> None:
    """COMMAND's output is the only standard output; the words about simulated hosts go to standard error."""
    process = simulate("--count", "2", "--", "sh", "-c", 'echo "$OVN_RUNBOOKS_INVENTORY"; exit 7')
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 7
    assert out.startswith(str(tmp_path))
    assert "nothing about the shell" in errors
    assert list(tmp_path.iterdir()) == []


def test_a_killed_command_has_a_shells_status(simulate) -> None:
    """A COMMAND that a signal ended gives 128 and its number, as in a shell."""
    process = simulate("--count", "1", "--", "sh", "-c", "kill -9 $$")
    process.communicate(timeout=30)
    assert process.returncode == 137


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--count", "1", "--", "no-such-command-here"), "cannot be run"),
        (("--fault", "linux-1:explode"), "the kinds of fault are"),
        (("--count", "0"), "at least one host"),
    ],
)
def test_usage_errors(simulate, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """What is wrong with the command line ends with status 2 and leaves nothing."""
    process = simulate(*words)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert said in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(simulate, tmp_path: Path, number: int) -> None:
    """Ctrl-C goes to the whole group, as a terminal sends it; other signals are passed on to COMMAND."""
    process = simulate("--count", "2", "--", "sleep", "300")
    both = started(process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == (130 if number == signal.SIGINT else 143), errors
    assert eventually(lambda: all(ended(pid) for pid in both), seconds=10)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_it_is_killed(simulate, tmp_path: Path) -> None:
    """Even without a chance to tidy up: COMMAND ends with it, the hosts' process sees that and removes the folder."""
    process = simulate("--count", "2", "--", "sleep", "300")
    both = started(process)
    assert any(SERVER in command for command in both.values())
    process.kill()
    process.communicate(timeout=20)
    assert eventually(lambda: all(ended(pid) for pid in both), seconds=10)
    assert list(tmp_path.iterdir()) == []


def test_serving_until_ctrl_c(simulate, tmp_path: Path) -> None:
    """Without COMMAND it says how to use the hosts, and ends well on Ctrl-C."""
    process = simulate("--count", "2")
    assert process.stderr is not None
    said = [process.stderr.readline() for _ in range(6)]
    assert any("export OVN_RUNBOOKS_INVENTORY=" in line for line in said)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_ones_own_stays(simulate, tmp_path: Path) -> None:
    """--folder keeps inventory and state for a look afterwards."""
    process = simulate("--count", "1", "--folder", str(tmp_path / "mine"), "--", "true")
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (tmp_path / "mine" / "inventory" / "hosts.yaml").is_file()
