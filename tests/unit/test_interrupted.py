"""Ctrl-C outside a run: what was interrupted, that it can be run again, exit status 130, and no traceback."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.artifacts.pins import Pins, lock_file, save_pins
from plugins.releases import SHIPPED, load_release
from plugins.settings import ROOT


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run a program text of Python's."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Give a copy of the shipped inventory in which every file is pinned to something."""
    folder = tmp_path / "inventory"
    shutil.copytree(SHIPPED, folder)
    sources = [each.source(platform) for each in load_release("current", folder).artifacts for platform in each.urls]
    save_pins(Pins(release="current", files=dict.fromkeys(sources, "0" * 64)), lock_file("current", folder), "a test")
    return folder


@pytest.mark.parametrize("command", ["lock", "fetch"])
def test_a_download_that_is_interrupted(inventory: Path, tmp_path: Path, command: str) -> None:
    """It is said that the same command can be run again, while a server keeps it waiting."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        proxies = {"https_proxy": proxy, "http_proxy": proxy, "no_proxy": "", "NO_PROXY": ""}
        words = [command, *([str(tmp_path / "mirror")] if command == "fetch" else []), "-i", str(inventory)]
        with subprocess.Popen(
            [sys.executable, "-m", "runbooks.artifacts", *words],
            cwd=ROOT,
            env=os.environ | proxies,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            asked, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
            asked.close()
    assert errors == f"`{command}` was interrupted. It is safe to run it again: what is there is kept.\n"
    assert process.returncode == 130


def test_a_runbook_that_is_interrupted_before_its_run() -> None:
    """While the inventory is read or a password fetched, nobody else catches it."""
    done = run(
        "from plugins.cli import application, main\n"
        "def bootstrap(options): raise KeyboardInterrupt\n"
        "main(application(bootstrap), 'bootstrap')\n"
    )
    assert done.stderr == "`bootstrap` was interrupted. It is safe to run it again.\n"
    assert done.returncode == 130


def test_a_command_that_is_interrupted_while_it_is_imported() -> None:
    """The traceback of half an import tells an operator nothing; that of a mistake is shown."""
    assert run("import runbooks; raise KeyboardInterrupt").stderr == "Interrupted.\n"
    assert "Traceback" in run("import runbooks; raise ValueError('x')").stderr
