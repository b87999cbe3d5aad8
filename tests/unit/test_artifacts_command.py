"""`runbooks.artifacts`: what it shows, and an exit status that says whether a bootstrap would begin."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml

from plugins.artifacts.pins import Pins, load_pins, lock_file, save_pins
from plugins.releases import SHIPPED, load_release
from runbooks.artifacts import main

URL = "http://mirror.example.org"
HYBRID = "provided/hybrid-overlay-node.exe"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Give a copy of the shipped inventory, which has a Windows host, without pins."""
    folder = tmp_path / "inventory"
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*.lock.yaml"))
    return folder


def pin(inventory: Path, *, without: str = "") -> None:
    """Pin everything as upstream has it, and what nobody publishes as a mirror has it."""
    artifacts = load_release("current", inventory).artifacts
    files = {each.source(platform) for each in artifacts for platform in each.urls} | {HYBRID}
    pins = Pins(
        release="current",
        files=dict.fromkeys(files - {without}, "0" * 64),
        images={each.reference: f"sha256:{'0' * 64}" for each in artifacts if each.reference},
    )
    save_pins(pins, lock_file("current", inventory), "a test")


def artifacts(command: str, inventory: Path, *words: str) -> int:
    """Run the command; give its exit status."""
    return main([command, *words, "-i", str(inventory)])


@pytest.mark.parametrize("command", ["list", "lock", "fetch"])
def test_an_overlay_alone_downloads_nothing(
    inventory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Nothing is missing for it, pinned or fetched, and all of that is well."""
    file = inventory / "defaults.yaml"
    defaults = yaml.safe_load(file.read_text())
    defaults["data"]["cluster"] |= {"name": "demo", "kubernetes": False}
    file.write_text(yaml.safe_dump(defaults))
    assert artifacts(command, inventory, *([str(tmp_path / "mirror")] if command == "fetch" else [])) == 0
    said = capsys.readouterr()
    assert said.out == "nothing is downloaded: demo is an overlay alone (kubernetes: false in defaults.yaml)\n"
    assert not said.err
    assert not lock_file("current", inventory).exists()


@pytest.mark.parametrize(
    ("left_out", "words", "seen"),
    [
        ("", ("--mirror", URL), ""),
        ("", (), "pinned in a mirror, and none is given; give it, as --mirror URL_OR_DIR"),
        (HYBRID, (), f"published nowhere; put it into a mirror at {HYBRID} and give --mirror (docs/artifacts.md)"),
        (HYBRID, ("--mirror", URL), f"not pinned; run `python -m runbooks.artifacts lock -i INVENTORY --mirror {URL}`"),
    ],
)
def test_the_exit_status_is_whether_a_bootstrap_would_begin(
    inventory: Path, capsys: pytest.CaptureFixture[str], left_out: str, words: tuple[str, ...], seen: str
) -> None:
    """What only a mirror has is missing without one, however well it is pinned."""
    pin(inventory, without=left_out)
    assert artifacts("list", inventory, *words) == bool(seen)
    said = capsys.readouterr().err.replace(str(inventory), "INVENTORY")
    assert said.partition(": ")[2] == (f"{seen}\n" if seen else "")


def test_a_windows_hosts_own_mirror_counts(inventory: Path) -> None:
    """It is where that host downloads from, whatever --mirror says."""
    pin(inventory)
    file = inventory / "groups.yaml"
    groups = yaml.safe_load(file.read_text())
    groups["windows"].setdefault("data", {})["mirror"] = URL
    file.write_text(yaml.safe_dump(groups))
    assert artifacts("list", inventory) == 0


@pytest.mark.parametrize("command", ["list", "lock"])
def test_an_output_that_cannot_be_written_is_one_line_and_no_success(
    inventory: Path, full: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Nor does it end the work: pins are written, whoever reads along."""
    pin(inventory, without=HYBRID if command == "lock" else "")
    program = inventory.parent / "mirror" / HYBRID
    program.parent.mkdir(parents=True)
    program.write_bytes(b"a program")
    with full.open("w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        status = artifacts(command, inventory, "--mirror", str(inventory.parent / "mirror"))
        monkeypatch.undo()
    assert status == 1
    assert capsys.readouterr().err == "Warning: the output could not be written: No space left on device\n"
    assert HYBRID in load_pins("current", inventory).files
