"""The step library for real: every change twice, dry runs that write nothing, and output that cannot lie."""

from __future__ import annotations

import fcntl
import json
import subprocess
import time
from pathlib import Path

import pytest
from scripting import Run

from plugins.scripts import assemble, quote


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def test_a_file_is_written_once(run: Run, tmp_path: Path) -> None:
    """The first run changes, the second finds it as wanted; content, mode and owner are exact."""
    path = tmp_path / "etc" / "x.conf"
    content = "a&b\n\\n\tend\n\n"
    body = f"file {path} 0640 root:root {quote(content)}"
    first = run(body)
    assert (first.statuses, first.status) == (["changed"], 0)
    assert path.read_text() == content
    assert path.stat().st_mode & 0o777 == 0o640
    assert "+a&b" in first.steps[0].diff
    assert run(body).statuses == ["ok"]
    path.chmod(0o600)
    assert run(body).statuses == ["changed"]


def test_a_dry_run_shows_the_diff_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    """Every verb says would-change, and the tree stays what it was."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "old").write_text("one\ntwo\n")
    before = tree(tmp_path)
    content = "one\n2\n"
    body = f"""file {work}/old 0644 root:root {quote(content)}
file {work}/deep/new 0644 root:root new
line {work}/old three
directory {work}/folder 0755 root:root
link {work}/link target
absent {work}/old
ensure act 'test -e {work}/made' 'touch {work}/made'
"""
    said = run(body, dry_run=True)
    assert said.statuses == ["would-change"] * 7
    assert "-two\n+2\n" in said.steps[0].diff
    assert tree(tmp_path) == before


def test_small_verbs_come_to_rest(run: Run, tmp_path: Path) -> None:
    """line, directory, link, absent and ensure change once and are ok from then on."""
    (tmp_path / "list").write_text("no newline at the end")
    (tmp_path / "gone").mkdir()
    body = f"""line {tmp_path}/list added
directory {tmp_path}/folder 0700 root:root
link {tmp_path}/link {tmp_path}/list
absent {tmp_path}/gone
ensure 'make it' 'test -e {tmp_path}/made' 'touch {tmp_path}/made'
"""
    assert run(body).statuses == ["changed"] * 5
    assert (tmp_path / "list").read_text() == "no newline at the end\nadded\n"
    assert run(body).statuses == ["ok"] * 5


def test_what_was_read_for_all_steps_is_read_again_after_a_change(run: Run, tmp_path: Path) -> None:
    """Modes, owners and targets come from one look at all paths, and no step sees what an earlier one has changed."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("x\n")
    one.chmod(0o644)
    two.symlink_to("old")
    spoil = f"chmod 0600 {one}; ln -sfn other {two}; touch {tmp_path}/spoiled"
    body = f"""directory {tmp_path} 0700 root:root
file {one} 0644 root:root {quote("x" + chr(10))}
link {two} new
ensure spoil 'test -e {tmp_path}/spoiled' {quote(spoil)}
file {one} 0600 root:root {quote("x" + chr(10))}
link {two} other
"""
    tmp_path.chmod(0o700)
    assert run(body).statuses == ["ok", "ok", "changed", "changed", "ok", "ok"]


@pytest.mark.parametrize("target", ["it's here", "a\n644 root:root '/x' -> '/y'", "$(id)", "a' -> 'b"])
def test_a_links_target_is_taken_as_it_is(run: Run, tmp_path: Path, target: str) -> None:
    """Quotes, newlines and what looks like another line of the reading are part of the target."""
    link = tmp_path / "link"
    link.symlink_to(target)
    assert run(f"link {link} {quote(target)}").statuses == ["ok"]
    said = run(f"link {link} /y")
    assert said.statuses == ["changed"]
    assert link.readlink() == Path("/y")


def test_a_folder_may_be_reached_through_a_link(run: Run, tmp_path: Path) -> None:
    """A directory step looks at the folder, and not at a link that leads to it."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "way").symlink_to("real")
    assert run(f"directory {tmp_path}/way 0700 root:root").statuses == ["ok"]


def test_a_secret_is_never_shown(run: Run, tmp_path: Path) -> None:
    """A secret file has no diff, neither when it is made nor when it is replaced."""
    path = tmp_path / "key"
    assert run(f"secret_file {path} 0600 root:root 'first hunter2'").statuses == ["changed"]
    said = run(f"secret_file {path} 0600 root:root 'second hunter2'")
    assert said.statuses == ["changed"]
    assert "hunter2" not in json.dumps([vars(step) for step in said.steps])


def test_a_file_is_never_seen_half_written(run: Run, tmp_path: Path) -> None:
    """A full disk fails the step, leaves the old content, and says what the system said."""
    small = tmp_path / "small"
    small.mkdir()
    body = f"file {small}/x 0644 root:root {quote('y' * 200_000)}"
    mount = f"mount -t tmpfs -o size=64k none {small} && echo old >{small}/x &&"
    keep = f"trap 'cat {small}/x; ls -A {small}' EXIT;"
    said = run(body, prefix=mount + keep)
    assert said.statuses == ["failed"]
    assert "No space left" in said.steps[0].output
    assert said.stderr.split()[:1] == ["old"]
    assert said.status == 1


def test_a_change_stops_at_its_first_failure(run: Run, tmp_path: Path) -> None:
    """What comes after a command that failed is not run, so that no half-made file is put in place."""
    said = run(f"ensure 'in two parts' false {quote(f'cat {tmp_path}/none{chr(10)}touch {tmp_path}/made')}")
    assert said.statuses == ["failed"]
    assert "No such file" in said.steps[0].output
    assert not (tmp_path / "made").exists()


def test_the_first_failure_ends_the_script(run: Run, tmp_path: Path) -> None:
    """What comes after a failed step does not run, the end line is still there, and the exit status is 1."""
    said = run(f"ensure broken false 'echo words; exit 3'\nfile {tmp_path}/x 0644 root:root x")
    assert (said.statuses, said.status, said.transcript.ended) == (["failed"], 1, True)
    assert said.steps[0].output == "words"
    assert not (tmp_path / "x").exists()


def test_a_failure_in_the_middle_of_an_act_counts(run: Run) -> None:
    """An act stops at its first failing command, wherever it stands in it."""
    assert run("ensure x false 'false; true'").statuses == ["failed"]


def test_a_change_that_does_not_take_is_a_failure(run: Run) -> None:
    """After the act the step looks again."""
    said = run("ensure x false true")
    assert said.statuses == ["failed"]
    assert "still not as wanted" in said.steps[0].message


def test_output_cannot_forge_or_break_a_step(run: Run, tmp_path: Path) -> None:
    """Commands do not have the step lines' descriptor; ESC, CR, NUL, invalid UTF-8 and 1 MB lines are only output."""
    noise = tmp_path / "noise"
    noise.write_bytes(b'@feedc0de {"end":1}\n\x1b[31m"\\\r\x00\xff\t' + b"z" * 1_000_000)
    said = run(f"ensure noisy false 'cat {noise}; for f in 3 4 5 6 7 8 9 10 11; do echo x >&$f; done; exit 1'")
    assert said.statuses == ["failed"]
    assert said.transcript.ended
    assert "zzz" in said.steps[0].output
    assert len(said.steps[0].output) < 70_000


def test_every_byte_survives_json(run: Run, tmp_path: Path) -> None:
    """A diff with all bytes from 1 to 255 arrives, control characters made visible."""
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(1, 256)) + b"\n")
    said = run(f"file {path} 0644 root:root new")
    assert said.statuses == ["changed"]
    assert "\\x1b" in said.steps[0].diff


def test_a_large_diff_is_cut(run: Run, tmp_path: Path) -> None:
    """64 KB of a diff are shown, and how much was left out."""
    path = tmp_path / "large"
    path.write_text("old\n" * 100_000)
    said = run(f"file {path} 0644 root:root new", dry_run=True)
    assert "truncated" in said.steps[0].diff[-60:]
    assert len(said.steps[0].diff) < 70_000


def test_a_script_waits_for_the_one_before(run: Run, tmp_path: Path) -> None:
    """The host's lock is taken; after the stated wait the step says who has it."""
    folder = tmp_path / "run-ovn-runbooks"
    (folder / "owner").write_text("alice@laptop, install\n")
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = run(f"file {tmp_path}/x 0644 root:root x", wait=1)
    assert said.statuses == ["failed"]
    assert said.steps[0].name == "wait for alice@laptop, install"
    assert not (tmp_path / "x").exists()


def test_two_scripts_at_once_after_a_boot(run: Run, tmp_path: Path) -> None:
    """The other one has made the folder of both between this one's look and its own try."""
    twice = 'mount -t tmpfs none /run && mkdir() { command mkdir "$@" && command mkdir "$@"; } &&'
    assert run(f"file {tmp_path}/x 0644 root:root x", prefix=twice).statuses == ["changed"]


def test_a_daemon_holds_neither_the_lock_nor_the_lines(run: Run, tmp_path: Path) -> None:
    """A process that a step leaves behind does not keep the next script waiting."""
    began = time.monotonic()
    body = f"ensure daemon 'test -e {tmp_path}/d' 'touch {tmp_path}/d; (sleep 30 & )'"
    assert run(body).statuses == ["changed"]
    assert run(body, wait=1).statuses == ["ok"]
    assert time.monotonic() - began < 20


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_script_cut_in_the_middle_runs_nothing(tmp_path: Path, share: float) -> None:
    """Wherever the line is cut while sending, no step runs."""
    script = assemble(f"file {tmp_path}/x 0644 root:root x", marker="@m ", dry_run=False, wait=1, owner="test").encode()
    cut = script[: min(int(len(script) * share), len(script) - 3)]
    done = subprocess.run(["bash", "-c", 'eval "$(cat)"'], input=cut, capture_output=True, timeout=30, check=False)
    assert not (tmp_path / "x").exists()
    assert b"@m" not in done.stdout


@pytest.mark.usefixtures("run")
def test_a_held_lock_is_free_when_its_holder_is_gone() -> None:
    """The cluster's lock refuses a second holder, says who has it, and lives as long as its input."""
    script = assemble("hold_lock alice 60\n", marker="@m ", dry_run=False, wait=5, owner="alice")
    inside = 'IFS= read -r n; IFS= read -r -d "" -N "$n" s; eval "$s"'
    with subprocess.Popen(["bash", "-c", inside], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write(f"{len(script)}\n{script}")
        first.stdin.flush()
        while '"step"' not in (line := first.stdout.readline()):
            assert line
        assert '"status":"ok"' in line
        second = subprocess.run(
            ["bash", "-c", inside],
            input=f"{len(script)}\n{script}",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert "held by alice; last sign of life" in second.stdout
        first.stdin.close()
        assert first.wait(timeout=10) == 0
    third = subprocess.run(
        ["bash", "-c", inside],
        input=f"{len(script)}\n{script}",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert '"status":"ok"' in third.stdout
