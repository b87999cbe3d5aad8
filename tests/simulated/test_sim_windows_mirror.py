"""A mirror's folder for simulated Windows hosts, which really download from this machine over HTTP."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nornir.core.processor import Processors
from nornir.core.task import Task
from simulating import Simulate, Simulated

from plugins.artifacts.model import Kind
from plugins.attempts import stage_result
from plugins.inventory.model import Role
from plugins.prepare import prepare
from plugins.releases import SHIPPED, load_release
from plugins.results import StageResult, StageStatus
from plugins.selection import Options
from plugins.settings import MirrorServer
from tasks.install_artifacts import install_artifacts

KUBELET = "/c:/k/kubelet.exe"
STAGES = ("preflight", "network-checks", "features", "protection", "artifacts")
ONLY = tuple(word for stage in STAGES for word in ("--only", stage))


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """Make a folder with a file for every download of every host."""
    folder = tmp_path / "mirror"
    for artifact in load_release("current", SHIPPED).artifacts:
        for platform in artifact.platforms:
            file = folder / artifact.place(platform)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(f"{artifact.name} {platform}\n".encode() * 20_000)
    return folder


@pytest.fixture
def hosts(simulated: Simulate, mirror: Path) -> Simulated:
    """Give a master and two Windows hosts whose pins are those of the folder."""
    found = simulated(count=1, windows=2)
    locked = found.command("runbooks.artifacts", "lock", "--mirror", str(mirror))
    assert locked.returncode == 0, locked.stdout + locked.stderr
    return found


def run(hosts: Simulated, mirror: Path, *words: str, expect: int = 0) -> tuple[dict[str, dict[str, str]], str]:
    """Bootstrap as far as the downloads; give statuses by host and step, and all that was printed."""
    report = hosts.folder / "report.json"
    done = hosts.command(
        "runbooks.bootstrap", "--role", "windows", *ONLY, "--mirror", str(mirror), "--report", str(report), *words
    )
    text = done.stdout + done.stderr
    assert done.returncode == expect, text
    found = json.loads(report.read_text())["hosts"]
    return {
        name: {step["name"]: step["status"] for stage in host["stages"] for step in stage["steps"]}
        for name, host in found.items()
    }, text


def place_of(name: str) -> str:
    """Name the place in a mirror of what Windows hosts download."""
    artifacts = load_release("current", SHIPPED).artifacts
    found = next(each for each in artifacts if each.name == name and Role.WINDOWS in each.roles)
    return found.place(found.platforms[0])


def test_windows_hosts_download_from_this_machine(hosts: Simulated, mirror: Path) -> None:
    """A dry run would, a run does, the next one has nothing to do, and a node has all that it starts."""
    wanted = [
        each
        for each in load_release("current", SHIPPED).artifacts
        if Role.WINDOWS in each.roles and each.kind != Kind.IMAGE
    ]
    dry, _ = run(hosts, mirror, "--dry-run")
    first, _ = run(hosts, mirror)
    again, _ = run(hosts, mirror)
    for name in ("windows-1", "windows-2"):
        steps = [step for step in first[name] if step.startswith("artifact ")]
        assert len(steps) == len(wanted)
        assert {dry[name][step] for step in steps} == {"would-change"}
        assert {first[name][step] for step in steps} == {"changed"}
        assert set(again[name].values()) == {"ok"}
    kubelet = hosts.state("windows-2")["files"]["entries"][KUBELET]["content"]
    assert re.search(rf" from http://127\.0\.0\.1:\d+/{re.escape(place_of('kubelet.exe'))}$", kubelet)


def test_the_path_of_what_is_served_is_told_to_nobody(hosts: Simulated, mirror: Path) -> None:
    """Neither when all goes well nor in the words of a failure; machine and port are."""
    (mirror / place_of("kubelet.exe")).write_bytes(b"forged")
    _, text = run(hosts, mirror, "--verbose", expect=1)
    folder = re.search(r"^Logs: (\S+)$", text, re.MULTILINE)
    assert folder is not None
    said = [file.read_text() for file in Path(folder[1]).rglob("*") if file.is_file()]
    assert "kubelet.exe" in "".join(said)
    report = (hosts.folder / "report.json").read_text()
    for each in (*said, report, text, json.dumps(hosts.state("windows-1"))):
        assert not re.search(r"127\.0\.0\.1:\d+/[A-Za-z0-9_-]{43}", each)
    assert re.search(r"http://127\.0\.0\.1:\d+: sha256 [0-9a-f]{64}, not ", " ".join(text.split()))


def test_a_file_that_is_not_the_pinned_one_leaves_the_old_one(hosts: Simulated, mirror: Path) -> None:
    """The host compares; what it has stays, and both checksums and what to do are said."""
    run(hosts, mirror)
    before = hosts.state("windows-1")["files"]["entries"][KUBELET]["content"]
    file = mirror / place_of("kubelet.exe")
    file.write_bytes(b"a newer one")
    assert hosts.command("runbooks.artifacts", "lock", "--mirror", str(mirror)).returncode == 0
    file.write_bytes(b"forged")
    said, text = run(hosts, mirror, expect=1)
    assert said["windows-1"]["artifact C:\\k\\kubelet.exe"] == "failed"
    assert hosts.state("windows-1")["files"]["entries"][KUBELET]["content"] == before
    assert "put the right file into the mirror's folder" in " ".join(text.split())


def test_a_folder_without_a_file_is_to_be_completed(hosts: Simulated, mirror: Path) -> None:
    """Hosts that have it already miss nothing; one that lacks it says which step does."""
    (mirror / place_of("kubelet.exe")).unlink()
    said, text = run(hosts, mirror, expect=1)
    assert said["windows-1"]["artifact C:\\k\\kubelet.exe"] == "failed"
    assert "(404)" in text
    assert "complete the mirror's folder" in " ".join(text.split())
    (mirror / place_of("kubelet.exe")).write_bytes(b"kubelet.exe windows/amd64\n" * 20_000)
    run(hosts, mirror)
    (mirror / place_of("kubelet.exe")).unlink()
    again, _ = run(hosts, mirror)
    assert set(again["windows-1"].values()) == {"ok"}


@pytest.fixture
def install(hosts: Simulated, mirror: Path) -> Iterator[Callable[..., StageResult]]:
    """Run the task alone on windows-1, with settings of its own, as a stage."""
    contexts = []

    def run_task(**server: object) -> StageResult:
        nornir = hosts.nornir
        settings = hosts.context.settings.model_copy(update={"mirror_server": MirrorServer.model_validate(server)})
        options = Options(inventory=hosts.inventory, mirror=str(mirror))
        contexts.append(prepare(nornir, settings, options, "run", "tester"))
        task = Task(install_artifacts, nornir, global_dry_run=False, processors=Processors(), name="artifacts")
        hosts.shell("windows-1")
        return stage_result("artifacts", task.start(nornir.inventory.hosts["windows-1"]), dry_run=False)

    yield run_task
    for context in contexts:
        context.serving.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_a_machine_that_is_not_reached_is_named_with_the_ways_out(install: Callable[..., StageResult]) -> None:
    """Step and address that was tried are told, and firewall, settings and a web server as what to do."""
    port = free_port()
    result = install(address="127.66.66.66", port=port)
    assert "artifact C:\\k\\" in result.message
    assert f"http://127.66.66.66:{port}: No connection could be made" in result.output
    assert f"let the host reach TCP {port} of this machine" in result.todo
    assert "mirror_server" in result.todo
    assert "--mirror" in result.todo


def test_a_port_of_ones_own_is_used_and_one_that_is_taken_is_named(install: Callable[..., StageResult]) -> None:
    """A firewall may let in one port only; nothing is tried where another program has it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        result = install(port=port)
        assert f"port {port} (mirror_server.port): Address already in use" in result.message
        assert "config.yaml" in result.todo
    assert install(port=port).status is StageStatus.CHANGED
