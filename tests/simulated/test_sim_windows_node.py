"""Simulated Windows hosts become nodes of the same cluster as Linux hosts, in the same run."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml
from simulating import Simulate, Simulated
from waiting import eventually

from plugins.artifacts.pins import load_pins, lock_file, save_pins
from plugins.simulate.state import lasting
from plugins.simulate.windows.script import read_script

MIRROR = ("--mirror", "http://mirror.simulated")
VERIFIED = ("inspect-windows", "verify-windows")
NODE = ("features", "protection", "certificates", "artifacts", "runtime", "kubelet", "hybrid-overlay", "kube-proxy")


def bootstrap(hosts: Simulated, tmp_path: Path, *words: str, expect: int = 0) -> tuple[dict, str]:
    """Bootstrap all hosts; give the report's hosts, and all that was printed."""
    file = tmp_path / "report.json"
    done = hosts.command("runbooks.bootstrap", *words, "--report", str(file))
    assert done.returncode == expect, done.stdout + done.stderr
    return json.loads(file.read_text())["hosts"], done.stdout + done.stderr


def stages(host: dict) -> dict[str, str]:
    return {stage["name"]: stage["status"] for stage in host["stages"]}


def file_of(hosts: Simulated, path: str) -> dict:
    return hosts.state("windows-1")["files"]["entries"][path]


def test_a_windows_host_becomes_a_node(simulated: Simulate, tmp_path: Path) -> None:
    """Dry run, run, run again: what would change, changes, and then nothing does; the API knows the node."""
    hosts = simulated(count=1, windows=1)
    bare = lasting(hosts.state("windows-1"))
    found, _ = bootstrap(hosts, tmp_path, *MIRROR, "--dry-run")
    would = stages(found["windows-1"])
    not_yet = {stage: would.pop(stage) for stage in ("hybrid-overlay", "kube-proxy", *VERIFIED)}
    assert set(not_yet.values()) == {"skipped"}, "there is no node yet"
    assert set(would.values()) == {"ok", "would-change"}
    assert lasting(hosts.state("windows-1")) == bare
    found, text = bootstrap(hosts, tmp_path, *MIRROR)
    assert {stage: stages(found["windows-1"])[stage] for stage in NODE} == dict.fromkeys(NODE, "changed"), text
    node = hosts.state("master-1")["objects"]["Node /windows-1"]
    assert node["metadata"]["labels"]["kubernetes.io/os"] == "windows"
    assert node["metadata"]["labels"]["node-role.kubernetes.io/windows-worker"] == ""
    assert node["spec"]["taints"] == [{"key": "os", "value": "Windows", "effect": "NoSchedule"}]
    services = hosts.state("windows-1")["windows"]["services"]
    assert services["kubelet"]["depends"] == ["containerd"]
    assert services["hybrid-overlay-node"]["depends"] == ["kubelet"]
    assert services["kube-proxy"]["depends"] == ["hybrid-overlay-node"]
    assert services["kube-proxy"]["recovery"] == "86400 restart/10000/restart/30000/restart/60000"
    names = ("containerd", "kubelet", "hybrid-overlay-node", "kube-proxy")
    assert {services[name]["state"] for name in names} == {"Running"}
    assert [services[name]["start"] for name in names] == ["Auto", "Auto", "Auto", "Manual"], "it wants its source VIP"
    assert stages(found["master-1"])["windows-ready"] == "ok"
    assert {stages(found["windows-1"])[stage] for stage in VERIFIED} == {"ok"}
    for again in ((), ("--dry-run",)):
        found, _ = bootstrap(hosts, tmp_path, *MIRROR, *again)
        assert {host["status"] for host in found.values()} == {"ok"}
        checks = {step["name"]: step["message"] for step in found["windows-1"]["stages"][0]["steps"]}
        assert checks["check nic"].startswith("seen Ethernet"), "the overlay's switch has a NIC of its own by now"
        assert checks["check mtu"].startswith("seen 1500")


def test_what_the_node_is_given(simulated: Simulate, tmp_path: Path) -> None:
    """Its own keys, protected, and no authority's; configuration that a YAML parser reads; nothing secret elsewhere."""
    hosts = simulated(count=1, windows=1)
    _, text = bootstrap(hosts, tmp_path, *MIRROR)
    entries = hosts.state("windows-1")["files"]["entries"]
    keys = {path for path in entries if path.startswith("/c:/k/pki/") and path.endswith("-key.pem")}
    assert keys == {f"/c:/k/pki/{leaf}-key.pem" for leaf in ("kubelet", "kubelet-server", "kube-proxy", "ovn-node")}
    folder = re.search(r"^Logs: (\S+)$", text, re.MULTILINE)
    assert folder is not None
    said = [file.read_text() for file in Path(folder[1]).rglob("*") if file.is_file()]
    assert "kubelet-key.pem" in "".join(said)
    for path in keys:
        assert entries[path]["mode"] == "protected"
        line = entries[path]["content"].splitlines()[1]
        assert not [each for each in (*said, text) if line in each]
    assert entries["/c:/k"]["mode"] == "protected"
    assert entries["/c:/k/pki/ca.pem"]["content"].startswith("-----BEGIN CERTIFICATE-----")
    kubelet = yaml.safe_load(entries["/c:/k/kubelet.yaml"]["content"])
    assert kubelet["authentication"]["x509"]["clientCAFile"] == r"C:\k\pki\ca.pem"
    assert kubelet["containerRuntimeEndpoint"].startswith("npipe:")
    user = yaml.safe_load(entries["/c:/k/kubelet.kubeconfig"]["content"])["users"][0]
    assert user["name"] == "system:node:windows-1"
    assert user["user"]["client-key"] == r"C:\k\pki\kubelet-key.pem"
    network = json.loads(entries["/c:/k/cni/config/cni.conf"]["content"])
    assert network["name"] in hosts.state("windows-1")["windows"]["networks"]
    assert network["ipam"]["subnet"] == hosts.state("windows-1")["windows"]["networks"][network["name"]]
    vip = str(IPv4Network(network["ipam"]["subnet"])[2])
    assert hosts.state("windows-1")["windows"]["endpoints"] == {"VIPEndpoint": f"{vip} in {network['name']}"}
    assert network["ipam"]["rangeStart"] == str(IPv4Address(vip) + 1), "no pod gets the source VIP"
    proxy = yaml.safe_load(entries["/c:/k/kube-proxy.yaml"]["content"])
    assert proxy["winkernel"] == {"networkName": network["name"], "sourceVip": vip, "enableDSR": True}
    assert (proxy["mode"], proxy["clusterCIDR"]) == ("kernelspace", network["ipam"]["subnet"])
    user = yaml.safe_load(entries["/c:/k/kube-proxy.kubeconfig"]["content"])["users"][0]
    assert (user["name"], user["user"]["client-key"]) == ("system:kube-proxy", r"C:\k\pki\kube-proxy-key.pem")
    assert network["policies"][2]["value"]["Settings"] == {"ProviderAddress": hosts.state("windows-1")["address"]}
    assert not [path for path in entries if path.endswith(".part")]


def test_a_changed_setting_restarts_the_kubelet(simulated: Simulate, tmp_path: Path) -> None:
    """Its file changes, and what Windows stops together with it is started again by the same stage, also alone."""
    hosts = simulated(count=1, windows=1)
    bootstrap(hosts, tmp_path, *MIRROR)
    groups = hosts.inventory / "groups.yaml"
    content = yaml.safe_load(groups.read_text())
    content["windows"]["data"]["kubelet"] = {"maxPods": 50}
    groups.write_text(yaml.safe_dump(content))
    hosts.command("runbooks.task", "kubelet", "--host", "windows-1")
    services = hosts.state("windows-1")["windows"]["services"]
    names = ("containerd", "kubelet", "hybrid-overlay-node", "kube-proxy")
    assert {services[name]["state"] for name in names} == {"Running"}
    content["windows"]["data"]["kubelet"] = {"maxPods": 60}
    groups.write_text(yaml.safe_dump(content))
    found, _ = bootstrap(hosts, tmp_path, *MIRROR)
    changed = {
        step["name"] for stage in found["windows-1"]["stages"] for step in stage["steps"] if step["status"] == "changed"
    }
    assert changed == {r"file C:\k\kubelet.yaml", "restart kubelet on change"}


@pytest.mark.parametrize("step", ["service", "overlay_network"])
def test_the_first_network_may_take_the_connection_down(simulated: Simulate, tmp_path: Path, step: str) -> None:
    """The script is run again over a new connection, and what changed before the cut is not forgotten."""
    hosts = simulated(count=1, windows=1, faults=(f"windows-1:hybrid-overlay/{step}:cut:times=1",))
    found, text = bootstrap(hosts, tmp_path, *MIRROR)
    steps = {step["name"]: step["status"] for stage in found["windows-1"]["stages"] for step in stage["steps"]}
    assert stages(found["windows-1"])["hybrid-overlay"] == "changed", text
    assert "failed" not in steps.values()
    assert steps["overlay network OVNKubernetesHybridOverlayNetwork"] == "ok"
    assert steps["service hybrid-overlay-node defined"] == "changed"


@pytest.mark.parametrize("fault", ["clock-skew:seconds=400", "closed"])
def test_a_host_that_is_unfit_or_not_reached_gets_no_key(simulated: Simulate, tmp_path: Path, fault: str) -> None:
    """What was found in its preflight is told once, and nothing is tried on it after that."""
    hosts = simulated(count=1, windows=1, faults=(f"windows-1:{fault}",))
    found, _ = bootstrap(hosts, tmp_path, *MIRROR, expect=1)
    assert set(list(stages(found["windows-1"]).values())[1:]) == {"skipped"}
    assert not [path for path in hosts.state("windows-1")["files"]["entries"] if path.endswith(".pem")]


@pytest.mark.parametrize(
    ("words", "stage"),
    [
        (("runbooks.task", "bridge", "--host", "windows-1"), "bridge is"),
        (("runbooks.bootstrap", "--role", "windows", "--only", "install"), "install is"),
        (("runbooks.verify", "--host", "windows-1", "--only", "verify", "--only", "inspect"), "inspect, verify are"),
    ],
)
def test_what_is_not_for_windows_hosts_is_not_run_on_them(
    simulated: Simulate, words: tuple[str, ...], stage: str
) -> None:
    """Nothing is to be run, which is no success; beside other hosts, they are skipped and it is said why."""
    hosts = simulated(count=1, windows=1)
    done = hosts.command(*words)
    assert (done.returncode, done.stderr) == (2, f"nothing to run: {stage} not for windows-1\n"), done.stdout
    done = hosts.command("runbooks.bootstrap", "--only", "install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no stage of this run is for Windows hosts: windows-1 (all stages)" in done.stdout


def test_an_overlay_that_never_comes_fails_with_its_reason(simulated: Simulate, tmp_path: Path) -> None:
    """And no CNI configuration is written that would make the node look ready."""
    hosts = simulated(count=1, windows=1, faults=("windows-1:hybrid-overlay/overlay_network:fail:output=no subnet",))
    found, text = bootstrap(hosts, tmp_path, *MIRROR, expect=1)
    assert stages(found["windows-1"])["hybrid-overlay"] == "failed"
    assert "no subnet" in text
    assert "/c:/k/cni/config/cni.conf" not in hosts.state("windows-1")["files"]["entries"]
    assert stages(found["master-1"])["windows-ready"] == "ok", "nothing of Windows is left to await"


@pytest.mark.parametrize("pinned", [True, False])
def test_a_download_that_is_missing_for_windows_hosts_stops_before_any_host(simulated: Simulate, pinned: bool) -> None:
    """It says what is missing, what to do, and how Linux hosts go on; no host is changed, or reboots, for nothing."""
    hosts = simulated(count=2, windows=1)
    if not pinned:
        pins, name = load_pins("current", hosts.inventory), "provided/hybrid-overlay-node.exe"
        left = {source: pin for source, pin in pins.files.items() if source != name}
        save_pins(pins.model_copy(update={"files": left}), lock_file("current", hosts.inventory), "a test")
    done = hosts.command("runbooks.bootstrap")
    assert done.returncode == 2, done.stdout
    missing, way_out = done.stderr.splitlines()
    assert missing.startswith("hybrid-overlay-node.exe ")
    assert missing.endswith(
        "pinned in a mirror, and none is given; give it, as --mirror URL_OR_DIR"
        if pinned
        else "put it into a mirror at provided/hybrid-overlay-node.exe and give --mirror (docs/artifacts.md)"
    )
    assert "--role master --role linux" in way_out
    assert hosts.state("windows-1")["counters"]["connections"] == 0
    assert hosts.command("runbooks.bootstrap", "--role", "master", "--role", "linux").returncode == 0
    assert hosts.command("runbooks.bootstrap", "--role", "windows", "--only", "features").returncode == 0


def test_verify_looks_at_windows_nodes(simulated: Simulate, tmp_path: Path) -> None:
    """All is well; then its kubelet no longer answers, and the run fails with what was seen."""
    hosts = simulated(count=1, windows=1)
    bootstrap(hosts, tmp_path, *MIRROR)
    done = hosts.command("runbooks.verify", "--role", "windows", "--verbose")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "check overlay-network" in done.stdout + done.stderr
    for leaf in ("kubelet", "kubelet-server", "kube-proxy", "ovn-node"):
        assert f"check {leaf}-certificate" in done.stdout + done.stderr
    hosts.add_fault("windows-1:unhealthy:service=kubelet")
    done = hosts.command("runbooks.verify")
    assert done.returncode == 1
    said = " ".join((done.stdout + done.stderr).split())
    assert "check kubelet-health" in said
    assert "actively refused" in said


def test_a_kubelet_that_the_api_does_not_reach_fails_verify(simulated: Simulate, tmp_path: Path) -> None:
    """The master asks for its port; where Windows' firewall drops that, logs of pods would hang."""
    hosts = simulated(count=1, windows=1)
    bootstrap(hosts, tmp_path, *MIRROR)
    hosts.add_fault("windows-1:firewall:port=tcp/10250")
    done = hosts.command("runbooks.verify")
    assert done.returncode == 1
    said = " ".join((done.stdout + done.stderr).split())
    assert "check kubelet-port" in said
    assert "timeout" in said
    assert "runbooks.task protection" in said


def traffic(hosts: Simulated, tmp_path: Path, *words: str, expect: int = 0) -> dict[tuple[str, str], str]:
    """Verify with packets; what each host said of each other, by both names."""
    file = tmp_path / "traffic.json"
    done = hosts.command("runbooks.verify", "--traffic", *words, "--report", str(file))
    assert done.returncode == expect, done.stdout + done.stderr
    found = {}
    for name, host in json.loads(file.read_text())["hosts"].items():
        steps = next(stage["steps"] for stage in host["stages"] if stage["name"] == "pod-traffic")
        for step in steps:
            if step["name"].startswith("check pod traffic to "):
                found[name, step["name"].removeprefix("check pod traffic to ")] = step["message"]
    return found


def test_packets_between_windows_hosts_and_pods(simulated: Simulate, tmp_path: Path) -> None:
    """Both ways, from every node, in small and full size; and nothing of it is left."""
    hosts = simulated(count=2, windows=2)
    bootstrap(hosts, tmp_path, *MIRROR)
    before = {name: lasting(hosts.state(name)) for name in ("master-1", "windows-1")}
    seen = traffic(hosts, tmp_path)
    names = ("master-1", "linux-1", "windows-1", "windows-2")
    assert set(seen) == {(one, other) for one in names for other in names if one != other}
    assert {message.split(";")[0] for message in seen.values()} == {
        "seen small 3/3, 1400 bytes 3/3",
        "seen small 3/3, 1450 bytes 3/3",
    }
    assert seen["windows-1", "windows-2"].startswith("seen small 3/3, 1450 bytes 3/3")
    assert traffic(hosts, tmp_path, "--dry-run") == {}
    assert {name: lasting(hosts.state(name)) for name in before} == before


def test_a_firewall_around_a_windows_host_is_named(simulated: Simulate, tmp_path: Path) -> None:
    """Without VXLAN it fails at all others and they at it, with the port to let through; the rest is fine."""
    hosts = simulated(count=2, windows=1)
    bootstrap(hosts, tmp_path, *MIRROR)
    hosts.add_fault("windows-1:firewall:port=udp/4789")
    for pair, message in traffic(hosts, tmp_path, expect=1).items():
        if "windows-1" in pair:
            assert message.startswith("seen small 0/3, 1400 bytes 0/3"), pair
            assert "let UDP 4789 through" in message
        else:
            assert message.startswith("seen small 3/3"), pair


def test_a_kube_proxy_that_is_not_well_fails_its_stage(simulated: Simulate, tmp_path: Path) -> None:
    """Windows calls it running all the same, so what counts is its own word; the next run ends well."""
    hosts = simulated(count=1, windows=1, faults=("windows-1:unhealthy:service=kube-proxy,output=no source VIP",))
    found, text = bootstrap(hosts, tmp_path, *MIRROR, expect=1)
    assert stages(found["windows-1"])["kube-proxy"] == "failed"
    assert stages(found["windows-1"])["verify-windows"] == "skipped"
    assert "no source VIP" in text
    assert hosts.state("windows-1")["windows"]["services"]["kube-proxy"]["state"] == "Running"
    hosts.clear_faults()
    found, _ = bootstrap(hosts, tmp_path, *MIRROR)
    assert stages(found["windows-1"])["verify-windows"] == "ok"


def test_a_boot_brings_everything_back_without_a_run(simulated: Simulate, tmp_path: Path) -> None:
    """Network and source VIP are gone after a boot: the boot task has them made, then starts kube-proxy."""
    hosts = simulated(count=1, windows=1)
    bootstrap(hosts, tmp_path, *MIRROR)
    before = hosts.state("windows-1")
    hosts.add_fault("windows-1:hybrid-overlay:crash:seconds=0.3,times=1")
    hosts.command("runbooks.task", "hybrid-overlay", "--host", "windows-1")
    hosts.clear_faults()
    after = _booted(hosts)
    assert after["boot_id"] != before["boot_id"]
    assert after["windows"]["endpoints"] == before["windows"]["endpoints"]
    log = after["files"]["entries"]["/c:/var/log/boot/boot.log"]["content"]
    assert '"status":"failed"' not in log.replace(" ", "")
    assert "kube-proxy healthy" in log
    done = hosts.command("runbooks.verify")
    assert done.returncode == 0, done.stdout + done.stderr
    found, _ = bootstrap(hosts, tmp_path, *MIRROR)
    assert found["windows-1"]["status"] == "ok"


def _booted(hosts: Simulated) -> dict:
    """Await the end of the boot task; give the host's state then."""

    def log() -> str:
        return hosts.state("windows-1")["files"]["entries"].get("/c:/var/log/boot/boot.log", {"content": ""})["content"]

    assert eventually(lambda: '"end"' in log(), seconds=20), f"the boot task did not end: {log()}"
    return hosts.state("windows-1")


def test_what_the_boot_task_runs(simulated: Simulate, tmp_path: Path) -> None:
    """A whole script in the library's own words, protected, in ASCII: four verbs and nothing else."""
    hosts = simulated(count=1, windows=1)
    bootstrap(hosts, tmp_path, *MIRROR)
    text = file_of(hosts, "/c:/k/boot.ps1")["content"]
    assert text.isascii()
    assert [call.verb for call in read_script(text.encode()).calls] == [
        "overlay_network",
        "host_endpoint",
        "service",
        "healthy",
    ]
    assert hosts.state("windows-1")["windows"]["scheduled"]["ovn-runbooks-boot"].startswith("at boot as SYSTEM: ")
