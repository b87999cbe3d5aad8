"""`runbooks.kubeconfig`: where the administrator's kubeconfig goes, and that nothing is lost there."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from plugins.inventory.validated import ValidatedInventory
from plugins.paths import is_new_or_file
from plugins.pki.store import Store
from plugins.settings import ROOT, STATE_VARIABLE
from plugins.state_files import KUBECONFIG
from runbooks.kubeconfig import main


@pytest.fixture(autouse=True)
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the kubeconfig that lies in the state folder, as if the shipped inventory's bootstrap had left it there."""
    authority = Store(tmp_path / "pki", "demo").ensure_authority("kubernetes", datetime.now(UTC), master=None)
    certificate = base64.b64encode(authority.certificate_pem.encode()).decode()
    text = yaml.safe_dump({"kind": "Config", "users": [{"user": {"client-certificate-data": certificate}}]})
    name = ValidatedInventory(folder=ROOT / "inventory").load().defaults.data["cluster"].name
    file = tmp_path / "state" / name / KUBECONFIG
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.chmod(0o600)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    return text


def kubeconfig(*words: str) -> int:
    """Run the command; give its exit status."""
    return main(words)


def test_a_file_is_private_and_replaced_as_a_whole(tmp_path: Path, content: str) -> None:
    """Also one that others could read before, and in a folder that is made."""
    file = tmp_path / "kube" / "site-a"
    assert kubeconfig("-o", str(file)) == 0
    file.write_text("old")
    file.chmod(0o644)
    assert kubeconfig("-o", str(file)) == 0
    assert file.read_text() == content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_link_goes_on_leading_to_its_file(tmp_path: Path, content: str) -> None:
    """The file behind it is replaced, or made, and not the link."""
    for name in ("there", "not-yet"):
        (tmp_path / f"to-{name}").symlink_to(Path("kube") / name)
    (tmp_path / "kube").mkdir()
    (tmp_path / "kube/there").write_text("old")
    for name in ("there", "not-yet"):
        assert kubeconfig("-o", str(tmp_path / f"to-{name}")) == 0
        assert (tmp_path / f"to-{name}").is_symlink()
        assert (tmp_path / "kube" / name).read_text() == content


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path, content: str) -> None:
    """Whoever reads it gets the kubeconfig."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert kubeconfig("-o", str(pipe)) == 0
        assert os.read(reader, 65536).decode() == content
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_stays_one_and_says_what_is_wrong(full: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A device without room is no reason to put a file in its place."""
    assert kubeconfig("-o", str(full)) == 2
    assert capsys.readouterr().err == f"--output {full}: cannot be written (No space left on device)\n"
    assert stat.S_ISCHR(full.stat().st_mode)


def test_a_hyphen_is_standard_output(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for other programs; no file of that name is made."""
    monkeypatch.chdir(tmp_path)
    assert kubeconfig("-o", "-") == 0
    assert capsys.readouterr().out == content
    assert not (tmp_path / "-").exists()


def test_an_output_that_cannot_be_written_is_one_line(full: Path) -> None:
    """Whoever wanted the kubeconfig has not got it: no traceback, and no success."""
    with full.open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "runbooks.kubeconfig"],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == "Warning: the output could not be written: No space left on device\n"
    assert done.returncode == 1


def test_a_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the words of --report."""
    assert kubeconfig("-o", str(tmp_path)) == 2
    assert capsys.readouterr().err == f"--output {tmp_path}: is a folder; name a file in it\n"


@pytest.mark.parametrize(("path", "replaced"), [("/dev/shm/of-no-such-name", True), ("/dev/stdout", False)])
def test_what_the_shell_has_opened_is_not_replaced(path: str, replaced: bool) -> None:
    """A file in /dev/shm is one like any other: the key in it must have its mode from the beginning."""
    assert is_new_or_file(Path(path)) is replaced
