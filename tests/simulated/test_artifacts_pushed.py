"""A mirror folder over real SSH: files go over the connection that is there, once, and only those of the release."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulating import Simulate, Simulated

from plugins.artifacts.pins import load_pins, lock_file
from plugins.releases import SHIPPED, load_release

INSTALL = ("runbooks.bootstrap", "--only", "preflight", "--only", "install")
TASK, LIST, LOCK = ("runbooks.task", "artifacts"), ("runbooks.artifacts", "list"), ("runbooks.artifacts", "lock")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """Make a folder with a file for every download of the Linux hosts."""
    folder = tmp_path / "mirror"
    for artifact in load_release("current", SHIPPED).artifacts:
        for platform in artifact.platforms:
            file = folder / artifact.place(platform)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(f"{artifact.name} {platform}\n".encode() * 20_000)
    return folder


def run(hosts: Simulated, tmp_path: Path, *words: str, expect: int = 0) -> dict[str, dict[str, str]]:
    """Run the stage where the packages are installed; give statuses by host and step."""
    report = tmp_path / "report.json"
    installed = hosts.command(*INSTALL)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    said = hosts.command(*TASK, "--report", str(report), *words)
    assert said.returncode == expect, said.stdout + said.stderr
    found = json.loads(report.read_text())["hosts"]
    return {
        name: {step["name"]: step["status"] for stage in host["stages"] for step in stage["steps"]}
        for name, host in found.items()
    }


@pytest.mark.parametrize("sudo", [False, True], ids=["without-password", "with-password"])
def test_a_folder_is_pushed_once(simulated: Simulate, mirror: Path, tmp_path: Path, sudo: bool) -> None:
    """All that a host lacks goes there in one go; a second run sends nothing and is one script."""
    hosts = simulated(count=2, sudo_password=sudo)
    assert hosts.command(*LOCK, "--mirror", str(mirror)).returncode == 0
    first = run(hosts, tmp_path, "--mirror", str(mirror))
    assert first["linux-1"]["artifact /usr/local/bin/kubelet"] == "changed"
    assert first["linux-1"]["receive provided/ovnkube"] == "changed"
    assert "artifact /usr/local/bin/kube-apiserver" not in first["linux-1"]
    assert first["master-1"]["artifact /usr/local/bin/kube-apiserver"] == "changed"
    again = run(hosts, tmp_path, "--mirror", str(mirror))
    assert set(again["linux-1"].values()) == {"ok"}
    scripts = hosts.state("linux-1")["counters"]["scripts"]
    assert hosts.command(*TASK, "--mirror", str(mirror)).returncode == 0
    assert hosts.state("linux-1")["counters"]["scripts"] == scripts + 1
    assert not [path for path in hosts.state("linux-1")["files"]["entries"] if "/staged" in path]


def test_a_file_that_is_not_the_pinned_one_is_refused(simulated: Simulate, mirror: Path, tmp_path: Path) -> None:
    """The host compares, keeps what it has, and both checksums are said."""
    hosts = simulated(count=2)
    assert hosts.command(*LOCK, "--mirror", str(mirror)).returncode == 0
    (mirror / "provided" / "ovnkube").write_bytes(b"forged")
    said = run(hosts, tmp_path, "--mirror", str(mirror), expect=1)
    assert said["linux-1"]["receive provided/ovnkube"] == "failed"
    assert "/usr/local/bin/ovnkube" not in hosts.state("linux-1")["files"]["entries"]


def test_a_missing_pin_stops_before_any_host(simulated: Simulate, mirror: Path) -> None:
    """It names each artifact and the command that pins it; no host hears of it."""
    hosts = simulated(count=2)
    lock_file("current", hosts.inventory).unlink()
    said = hosts.command("runbooks.bootstrap", "--mirror", str(mirror))
    assert said.returncode == 2
    assert f": not pinned, and {mirror} holds it; run `python -m runbooks.artifacts lock" in said.stderr
    assert hosts.state("linux-1")["counters"]["connections"] == 0
    assert hosts.command(*LIST).returncode == 1


@pytest.mark.parametrize("there", [True, False], ids=["empty", "missing"])
def test_a_mistyped_folder_stops_before_any_host(simulated: Simulate, tmp_path: Path, there: bool) -> None:
    """Pins alone do not say that a mirror has the files: a folder without any of them is another one than was meant."""
    hosts, folder = simulated(count=2), tmp_path / "mistyped"
    if there:
        folder.mkdir()
    for command in (("runbooks.bootstrap",), LIST):
        said = hosts.command(*command, "--mirror", str(folder))
        assert said.returncode == (1 if there and command is LIST else 2), said.stderr
        assert ("holds none of the downloads, as dl.k8s.io/" if there else "there is no such folder") in said.stderr
    assert hosts.state("linux-1")["counters"]["connections"] == 0


def test_a_lost_connection_is_gone_on_with(simulated: Simulate, mirror: Path, tmp_path: Path) -> None:
    """A host that goes away in the middle fails with words; running again completes it."""
    hosts = simulated(count=2, faults=("linux-1:artifacts/receive:cut:times=1,after=1",))
    assert hosts.command(*LOCK, "--mirror", str(mirror)).returncode == 0
    assert hosts.command(*INSTALL).returncode == 0
    said = hosts.command(*TASK, "--mirror", str(mirror))
    assert said.returncode == 1
    assert "the connection was lost" in said.stdout
    assert run(hosts, tmp_path, "--mirror", str(mirror))["linux-1"]["artifact /usr/local/bin/kubelet"] == "changed"


def test_pins_of_a_mirror_are_kept_beside_the_others(simulated: Simulate, mirror: Path) -> None:
    """What a mirror does not hold keeps its pin, and what it holds gets the pin of what is there."""
    hosts = simulated(count=2)
    before = load_pins("current", hosts.inventory).files
    kept = next(source for source in before if source.endswith("/linux/arm64/kubelet"))
    (mirror / kept.removeprefix("https://")).unlink()
    assert hosts.command(*LOCK, "--mirror", str(mirror)).returncode == 0
    after = load_pins("current", hosts.inventory).files
    assert after[kept] == before[kept]
    assert after["provided/ovnkube"] != before["provided/ovnkube"]
