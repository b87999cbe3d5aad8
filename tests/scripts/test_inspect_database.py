"""Whether a database answers, as a host that verifies it asks: patiently where the tool just gave up, else once."""

from __future__ import annotations

import subprocess
from pathlib import Path

from plugins.scripts import libraries

# The tools by functions; `ovn-sbctl` notes each call and answers from the ANSWER-th on.
BODY = r"""
DATABASE_SECONDS=$3
openssl() { cat; }
timeout() { shift; "$@"; }
sleep() { command sleep 0.01; }
_fact() { printf '%s=%s\n' "$1" "$2"; }
ovn-sbctl() {
  echo call >>calls
  if (($(wc -l <calls) >= ANSWER)); then return 0; fi
  echo "ovn-sbctl: ssl:10.0.0.1:6642: database connection failed ($WHY)"
  return 1
}
ANSWER=$1 WHY=$2
_inspect_database southbound sb ssl:10.0.0.1:6642 key certificate authority
"""


def asked(folder: Path, *, answers: int, why: str = "", seconds: int = 15) -> tuple[str, int]:
    """What the host says of its southbound database, and how often it asked."""
    script = "\n".join([libraries()["steps"], libraries()["inspect"], BODY])
    words = ["bash", "-c", script, "bash", str(answers), why, str(seconds)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    said = dict(line.split("=", 1) for line in done.stdout.splitlines())
    return said["southbound_answer"], (folder / "calls").read_text().count("call")


def test_a_busy_database_is_asked_again(tmp_path: Path) -> None:
    """One that takes longer than a second to take the connection, five times over, is not a dead one."""
    assert asked(tmp_path, answers=6) == ("answered", 6)


def test_a_database_that_never_answers_is_told_as_the_tool_tells_it(tmp_path: Path) -> None:
    """After the seconds that it is given."""
    answer, calls = asked(tmp_path, answers=10**6, seconds=2)
    assert "database connection failed ()" in answer
    assert calls > 1


def test_a_refusal_is_believed_at_once(tmp_path: Path) -> None:
    """The tool says a reason where it knows one."""
    answer, calls = asked(tmp_path, answers=2, why="Connection refused")
    assert answer.endswith("database connection failed (Connection refused)")
    assert calls == 1
