"""The verb for packages with a real bash, and small programs in the place of apt's."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from scripting import Run, run_body

# What they answer lies in files of the folder $S, and what apt-get was asked is added to $S/asked.
TOOLS = {
    "dpkg-query": 'cat "$S/packages" 2>/dev/null || :',
    "dpkg": ":",
    "apt-get": """
echo "$*" >>"$S/asked"
case " $* " in
  *' update '*)
    [ -s "$S/locked" ] || { cat "$S/broken" 2>/dev/null && exit 100; exit 0; }
    sed -i 1d "$S/locked"
    echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 412 (apt-get)' >&2
    exit 100 ;;
  *' -- '*) echo 'ii  tree 2.1' >"$S/packages" ;;
esac""",
}


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """The folder with their answers."""
    (tmp_path / "answers").mkdir()
    return tmp_path / "answers"


@pytest.fixture
def script(answers: Path, tmp_path: Path) -> Run:
    """Run a body with these programs."""
    if os.geteuid() != 0:
        pytest.skip("the step library needs root (in a mount namespace of its own)")
    for folder in ("run", "bin"):
        (tmp_path / folder).mkdir()
    for name, text in TOOLS.items():
        tool = tmp_path / "bin" / name
        tool.write_text(f"#!/bin/sh\nS={answers}\n{text}\n")
        tool.chmod(0o755)
    return partial(run_body, tmp_path / "run", prefix=f"mount --bind {tmp_path / 'bin'} /usr/local/sbin &&")


def asked(answers: Path) -> list[str]:
    """What apt-get was told to do, without its options."""
    verbs = {"update", "install", "--fix-broken", "--no-remove", "--", "tree"}
    return [
        " ".join(word for word in line.split() if word in verbs)
        for line in (answers / "asked").read_text().splitlines()
    ]


def test_the_lists_come_first_and_nothing_is_removed(script: Run, answers: Path) -> None:
    """What somebody left half installed is completed from the new lists, or the step fails; apt may not remove it."""
    assert (script("package tree\n").statuses, script("package tree\n").statuses) == (["changed"], ["ok"])
    assert asked(answers) == ["update", "install --no-remove --fix-broken", "install -- tree"]


def test_whoever_reads_the_lists_is_waited_for(script: Run, answers: Path) -> None:
    """As a machine does that has just booted; apt waits for dpkg's locks and not for this one."""
    (answers / "locked").write_text("once\ntwice\n")
    assert script("package tree\n").statuses == ["changed"]
    assert asked(answers)[:3] == ["update"] * 3


def test_lists_that_cannot_be_had_are_not_waited_for(script: Run, answers: Path) -> None:
    """Somebody else's source may be broken: the install tells whether that matters."""
    (answers / "broken").write_text("E: The repository 'https://broken.example x Release' is not signed.\n")
    assert script("package tree\n").statuses == ["changed"]
    assert asked(answers)[:2] == ["update", "install --no-remove --fix-broken"]
