"""Kubernetes on simulated hosts: bare machines become a cluster once, and what goes wrong is said and mended."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from simulating import Simulate, Simulated

from plugins.settings import ROOT
from plugins.simulate.state import lasting

BOOTSTRAP, VERIFY, TASK = "runbooks.bootstrap", "runbooks.verify", "runbooks.task"
NAMES = ("master-1", "linux-1", "linux-2")
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def report(hosts: Simulated, tmp_path: Path, *words: str, expect: int = 0) -> tuple[dict[str, Any], str]:
    """Run a runbook; give its JSON report and all that it printed."""
    file = tmp_path / "report.json"
    done = hosts.command(*words, "--report", str(file))
    assert done.returncode == expect, done.stdout + done.stderr
    return json.loads(file.read_text()), done.stdout + done.stderr


def statuses(said: dict[str, Any]) -> set[str]:
    return {host["status"] for host in said["hosts"].values()}


def stages(said: dict[str, Any], host: str) -> dict[str, str]:
    return {stage["name"]: stage["status"] for stage in said["hosts"][host]["stages"]}


def objects(hosts: Simulated) -> dict[str, dict[str, Any]]:
    """Give what the API has, by `KIND NAMESPACE/NAME`."""
    found: dict[str, dict[str, Any]] = hosts.state("master-1")["objects"]
    return found


def kept(hosts: Simulated) -> Path:
    """Give the folder with the operator's own files of the cluster."""
    return hosts.state_folder / "simulated"


def tokens(hosts: Simulated) -> dict[str, str]:
    """Give the tokens that the API has made, by the names of their secrets."""
    secrets = {key: item for key, item in objects(hosts).items() if key.startswith("Secret ")}
    return {key.rpartition("/")[2]: base64.b64decode(item["data"]["token"]).decode() for key, item in secrets.items()}


def test_bare_hosts_become_a_cluster_once(simulated: Simulate, tmp_path: Path) -> None:
    """A dry run writes nothing; the first run makes nodes with labels, tokens and a kubeconfig; the second nothing."""
    hosts = simulated(count=3)
    bare = {name: lasting(hosts.state(name)) for name in NAMES}
    said, _ = report(hosts, tmp_path, BOOTSTRAP, "--dry-run")
    assert statuses(said) == {"would-change"}
    assert {name: lasting(hosts.state(name)) for name in NAMES} == bare
    assert [path for path in kept(hosts).rglob("*") if path.is_file()] == []

    said, _ = report(hosts, tmp_path, BOOTSTRAP)
    assert statuses(said) == {"changed"}
    nodes = {key.removeprefix("Node /"): item for key, item in objects(hosts).items() if key.startswith("Node ")}
    assert set(nodes) == set(NAMES)
    labels = {name: {label for label in node["metadata"]["labels"] if "role" in label} for name, node in nodes.items()}
    assert labels == {
        "master-1": {CONTROL_PLANE},
        "linux-1": {"node-role.kubernetes.io/worker"},
        "linux-2": {"node-role.kubernetes.io/worker"},
    }
    assert nodes["master-1"]["spec"]["taints"] == [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]
    assert [nodes[name]["spec"]["taints"] for name in ("linux-1", "linux-2")] == [[], []]
    config = yaml.safe_load((kept(hosts) / "kubeconfig").read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://10.142.0.2:6443"
    assert {path.name: path.read_text() for path in (kept(hosts) / "tokens").iterdir()} == tokens(hosts)
    private = [kept(hosts) / "kubeconfig", *(kept(hosts) / "tokens").iterdir()]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}

    before = {name: lasting(hosts.state(name)) for name in NAMES}
    for again in ((), ("--dry-run",)):
        said, _ = report(hosts, tmp_path, BOOTSTRAP, *again)
        assert statuses(said) == {"ok"}
    report(hosts, tmp_path, VERIFY, "--traffic")
    assert {name: lasting(hosts.state(name)) for name in NAMES} == before


def test_secrets_are_seen_nowhere(simulated: Simulate, tmp_path: Path) -> None:
    """Neither tokens nor keys are in output, report or logs, and no key of an authority is on any host."""
    hosts = simulated(count=2)
    done = hosts.command(BOOTSTRAP, "--verbose", "--report", str(tmp_path / "report.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    logs = Path(done.stdout.split("Logs: ")[1].split("\n")[0].strip())
    texts = [done.stdout, done.stderr, (tmp_path / "report.json").read_text()]
    texts += [path.read_text(errors="replace") for path in logs.rglob("*") if path.is_file()]
    keys = [data.decode() for data in pairs(hosts).values() if b"PRIVATE KEY" in data]
    kubeconfig = yaml.safe_load((kept(hosts) / "kubeconfig").read_text())["users"][0]["user"]["client-key-data"]
    entries = hosts.state("master-1")["files"]["entries"]
    encryption = yaml.safe_load(entries["/etc/kubernetes/encryption.yaml"]["content"])
    secret = encryption["resources"][0]["providers"][0]["secretbox"]["keys"][0]["secret"]
    # Of a key, the lines with its private half; a certificate shows the other one.
    lines = {line for key in keys for line in key.split("PRIVATE KEY-----")[1].splitlines()[1:3]}
    hidden = {*tokens(hosts).values(), kubeconfig, secret, *lines}
    assert len(hidden) > 20
    assert len(texts) > 4
    assert [each for each in hidden if any(each in text for text in texts)] == []
    authorities = [path.read_text() for path in (kept(hosts) / "pki" / "authorities").rglob("ca.key")]
    signing = {text.splitlines()[2] for text in authorities}
    assert len(signing) == 4
    for name in ("master-1", "linux-1"):
        contents = [entry["content"] for entry in hosts.state(name)["files"]["entries"].values()]
        assert not [text for text in contents if any(line in text for line in signing)]


@pytest.mark.parametrize(
    ("fault", "place", "untouched"),
    [
        ("master-1:unhealthy:service=etcd,output=etcd: no space", ("master-1", "etcd"), "join"),
        ("master-1:unhealthy:service=kube-apiserver,output=panic: no storage", ("master-1", "control-plane"), "join"),
        ("master-1:unhealthy:service=kube-scheduler,output=bad flag", ("master-1", "control-plane"), "verify"),
        ("linux-1:unhealthy:service=kubelet,output=swap is on", ("linux-1", "registered"), "verify"),
        ("linux-1:unhealthy:service=ovnkube,output=no br-int", ("linux-1", "node-ready"), "verify"),
    ],
)
def test_what_does_not_come_up_is_reported_in_its_own_words(
    simulated: Simulate, tmp_path: Path, fault: str, place: tuple[str, str], untouched: str
) -> None:
    """The service's last lines, not "timed out"; the overlay stands all the same, and a mended host completes it."""
    hosts, (name, stage) = simulated(count=3, faults=(fault,)), place
    said, text = report(hosts, tmp_path, BOOTSTRAP, expect=1)
    assert stages(said, name)[stage] == "failed"
    assert fault.partition("output=")[2] in text
    assert stages(said, "linux-2")[untouched] in {"ok", "changed"}
    if name == "linux-1":
        assert stages(said, "linux-2")["node-ready"] == "ok"
    hosts.clear_faults()
    said, _ = report(hosts, tmp_path, BOOTSTRAP)
    assert statuses(said) <= {"ok", "changed"}
    said, _ = report(hosts, tmp_path, BOOTSTRAP)
    assert statuses(said) == {"ok"}


def test_a_skipped_stage_is_told_once(simulated: Simulate, tmp_path: Path) -> None:
    """Two needs that the same failure leaves unmet are one line of the output, and one stage of the report."""
    hosts = simulated(count=2, faults=("master-1:ovnkube:fail",))
    said, text = report(hosts, tmp_path, BOOTSTRAP, expect=1)
    names = [stage["name"] for stage in said["hosts"]["master-1"]["stages"]]
    assert len(names) == len(set(names))
    lines = [line.split()[1:4] for line in text.splitlines()]
    assert lines.count(["master-1", "node-ready", "skipped"]) == 1


def pairs(hosts: Simulated) -> dict[Path, bytes]:
    """Give everything that the state folder holds of certificates and keys."""
    found = [path for path in (kept(hosts) / "pki").rglob("*") if path.suffix in {".pem", ".key"}]
    # What was half-written as its run was killed has a name that begins with a dot, and counts for nothing.
    whole = [path for path in found if not any(part.startswith(".") for part in path.relative_to(kept(hosts)).parts)]
    return {path: path.read_bytes() for path in whole}


def test_a_run_that_is_killed_makes_nothing_twice(simulated: Simulate, tmp_path: Path) -> None:
    """Kill -9 at whatever moment: what there was stays, authorities and certificates alike; then it completes."""
    hosts = simulated(count=3)
    had: dict[Path, bytes] = {}
    for moment in (1.0, 1.6, 2.2, 2.8, 3.4):
        command = [sys.executable, "-m", BOOTSTRAP]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env=os.environ | hosts.environment, cwd=ROOT, **quiet) as running:
            time.sleep(moment)
            running.send_signal(signal.SIGKILL)
        now = pairs(hosts)
        assert {path: now.get(path) for path in had} == had
        had = now
    report(hosts, tmp_path, BOOTSTRAP)
    now = pairs(hosts)
    assert {path: now.get(path) for path in had} == had
    authorities = {path.parent.name for path in now if "authorities" in path.parts}
    assert authorities == {"ovn", "kubernetes", "etcd", "front-proxy"}
    said, _ = report(hosts, tmp_path, BOOTSTRAP)
    assert statuses(said) == {"ok"}
    assert pairs(hosts) == now


def test_the_way_in_is_mended_by_its_stage_alone(simulated: Simulate, tmp_path: Path) -> None:
    """A lost kubeconfig or token comes back as it was; with everything there the stage changes nothing."""
    hosts = simulated(count=2)
    report(hosts, tmp_path, BOOTSTRAP)
    lost = (kept(hosts) / "kubeconfig", kept(hosts) / "tokens" / "ovnkube-node")
    before = [file.read_bytes() for file in lost]
    for file in lost:
        file.unlink()
    said, _ = report(hosts, tmp_path, TASK, "access")
    steps = {step["name"]: step["status"] for step in said["hosts"]["master-1"]["stages"][0]["steps"]}
    changed = [name for name, status in steps.items() if status == "changed"]
    assert changed == ["keep ovnkube-node", "keep kubeconfig"]
    assert [file.read_bytes() for file in lost] == before
    said, _ = report(hosts, tmp_path, TASK, "access")
    assert stages(said, "master-1") == {"access": "ok"}


def test_a_worker_without_a_token_says_which_stage_makes_one(simulated: Simulate, tmp_path: Path) -> None:
    """Its message names the command; the rest of the cluster does not hear of it."""
    hosts = simulated(count=2)
    report(hosts, tmp_path, BOOTSTRAP)
    (kept(hosts) / "tokens" / "ovnkube-node").unlink()
    _, text = report(hosts, tmp_path, TASK, "ovnkube", "--host", "linux-1", expect=1)
    assert "python -m runbooks.task access" in " ".join(text.split())


def test_the_master_keeps_the_keys_that_its_secrets_need(simulated: Simulate, tmp_path: Path) -> None:
    """A lost key is not made anew while the master has one: everything that it signed or encrypted would be lost."""
    hosts = simulated(count=2)
    report(hosts, tmp_path, BOOTSTRAP)
    (kept(hosts) / "pki" / "keys" / "encryption.pem").unlink()
    before = lasting(hosts.state("master-1"))
    said, text = report(hosts, tmp_path, BOOTSTRAP, expect=1)
    assert stages(said, "master-1")["authority"] == "failed"
    assert "encryption" in text
    assert lasting(hosts.state("master-1")) == before


def test_a_worker_that_comes_later_is_labelled(simulated: Simulate, tmp_path: Path) -> None:
    """What was unreachable at first becomes a node as the others are; only the label is new on the master."""
    hosts = simulated(count=3, faults=("linux-2:closed",))
    report(hosts, tmp_path, BOOTSTRAP, expect=1)
    assert "Node /linux-2" not in objects(hosts)
    hosts.clear_faults()
    said, _ = report(hosts, tmp_path, BOOTSTRAP)
    assert stages(said, "linux-2")["node-ready"] == "ok"
    assert {name for name, status in stages(said, "master-1").items() if status == "changed"} == {"labels"}
    assert "node-role.kubernetes.io/worker" in objects(hosts)["Node /linux-2"]["metadata"]["labels"]


def test_the_overlay_alone_asks_nothing_of_a_windows_host(simulated: Simulate, tmp_path: Path) -> None:
    """Its preflight is made; it gets no certificate, as there is none for it, and verify leaves it out."""
    hosts = simulated(count=2, windows=1)
    hosts.set_cluster(kubernetes=False)
    for words in ((BOOTSTRAP, "--dry-run"), (BOOTSTRAP,), (VERIFY,)):
        said, text = report(hosts, tmp_path, *words)
        assert said["hosts"]["windows-1"]["status"] in {"ok", "skipped"}, text
    assert not [path for path in hosts.state("windows-1")["files"]["entries"] if path.endswith(".pem")]


def test_a_linux_host_without_its_downloads_gets_its_runtime(simulated: Simulate, tmp_path: Path) -> None:
    """There containerd comes with the packages; what the downloads are for is skipped."""
    hosts = simulated(count=2, faults=("linux-1:artifacts:fail",))
    said, _ = report(hosts, tmp_path, BOOTSTRAP, expect=1)
    found = stages(said, "linux-1")
    assert (found["runtime"], found["kubelet"]) == ("changed", "skipped")


def test_nodes_come_back_after_a_reboot(simulated: Simulate, tmp_path: Path) -> None:
    """Every host goes down and boots; nobody lays a hand on it, and the cluster is as before."""
    hosts = simulated(count=2)
    report(hosts, tmp_path, BOOTSTRAP)
    for name in ("master-1", "linux-1"):
        hosts.add_fault(f"{name}:preflight/start:crash:seconds=0.3,times=1")
    report(hosts, tmp_path, BOOTSTRAP, expect=1)
    time.sleep(0.5)
    report(hosts, tmp_path, VERIFY)
    said, _ = report(hosts, tmp_path, BOOTSTRAP)
    assert statuses(said) == {"ok"}


def test_the_overlay_alone_is_a_setting(simulated: Simulate, tmp_path: Path) -> None:
    """With kubernetes: false nothing of it is installed, made or checked."""
    hosts = simulated(count=2)
    hosts.set_cluster(kubernetes=False)
    said, _ = report(hosts, tmp_path, BOOTSTRAP)
    assert not {"artifacts", "etcd", "kubelet", "access", "node-ready"} & set(stages(said, "master-1"))
    state = hosts.state("master-1")
    assert not {"etcd", "containerd", "kubelet"} & set(state["units"])
    assert state["objects"] == {}
    assert {path.name for path in (kept(hosts) / "pki" / "authorities").iterdir()} == {"ovn"}
    report(hosts, tmp_path, VERIFY)
    said, _ = report(hosts, tmp_path, BOOTSTRAP)
    assert statuses(said) == {"ok"}
