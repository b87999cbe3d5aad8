"""Kubernetes on real hosts: a story in two lives of four bare machines, to be read, and run, from top to bottom.

One of them is a simulated Windows host: what is said to it is understood and no Windows does it, but its node, its
certificates and its packets are real. The programs come out of a mirror: with `KUBERNETES_MIRROR=FOLDER` real ones,
else stand-ins, which are as strict and do less. What takes real ones is skipped without.
"""

from __future__ import annotations

import json
import os

import pytest
from operating import Cluster

from plugins.artifacts.pins import load_pins
from plugins.kubernetes import MASTER_TAINT, SUPERUSER_CONFIG
from plugins.lab import run_in_network
from plugins.lab.windows.link import OVERLAY_NIC

pytestmark = pytest.mark.lab

REAL = bool(os.environ.get("KUBERNETES_MIRROR"))
real = pytest.mark.skipif(not REAL, reason="stand-ins run no pods: KUBERNETES_MIRROR names no mirror")
NODES = f"kubectl --kubeconfig={SUPERUSER_CONFIG} get nodes -o json"
PRIVATE = (
    "/etc/kubernetes/*.kubeconfig /etc/kubernetes/tls/*-key.pem /etc/openvswitch/ovn_k8s.conf /etc/openvswitch/*key*"
    " /etc/openvswitch/ovnkube-token"
)
STARTS = "systemctl show -p ActiveEnterTimestampMonotonic --value kube-apiserver kube-scheduler kubelet ovnkube etcd"


def ready(cluster: Cluster) -> dict[str, str]:
    """Status of each node that the API knows, with the boot of the host that told it so."""
    found = {}
    for node in json.loads(cluster.shell("master", NODES) or "{}").get("items", ()):
        conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
        found[node["metadata"]["name"]] = f"{conditions.get('Ready')} {node['status']['nodeInfo']['bootID']}"
    return found


def ready_now(cluster: Cluster) -> dict[str, str]:
    """What `ready` gives when every node is ready, and is since its last boot."""
    return {host: f"True {boot}" for host, boot in cluster.boots().items()}


def disks(cluster: Cluster) -> dict[str, str]:
    """Every changed file of every host, but for what is written all the time.

    ovnkube, the real one, writes to OVN's databases; the stand-in API keeps leases in a file, and not in etcd.
    """
    restless = ":var/lib/ovn/ovn" if REAL else ":var/lib/kube-apiserver-standin/"
    return {file: look for file, look in cluster.disks().items() if restless not in file}


def authorities(cluster: Cluster) -> dict[str, bytes]:
    """The certificates of all authorities in the operator's state folder."""
    return {str(file.relative_to(cluster.state)): file.read_bytes() for file in cluster.state.rglob("ca.pem")}


def test_every_download_is_pinned(kubernetes: Cluster) -> None:
    """As the mirror has it, in a file beside the inventory; without pins a bootstrap would not even begin."""
    pins = load_pins("current", kubernetes.lab.inventory, kubernetes.folder)
    assert any(each.endswith("/kube-apiserver") for each in pins.files)
    assert any("coredns" in each for each in pins.files)


def test_a_dry_run_on_bare_hosts_writes_nothing(kubernetes: Cluster) -> None:
    """Everything would change, no file of any host does, and the operator has no authority, key or token of it."""
    before = kubernetes.disks()
    ran = kubernetes.run("bootstrap", "--dry-run")
    assert (ran.status, set(ran.hosts.values())) == (0, {"would-change"}), ran.text
    assert kubernetes.disks() == before
    assert list(kubernetes.state.rglob("*")) == []


def test_bare_hosts_become_a_cluster(kubernetes: Cluster) -> None:
    """One command: every node is ready, and the cluster is verified at its end."""
    ran = kubernetes.run("bootstrap")
    assert (ran.status, set(ran.hosts.values()), ran.count("failed")) == (0, {"changed"}, 0), ran.text
    stages = ran.stages("master")
    assert {stages[each] for each in ("etcd", "control-plane", "access", "dns", "labels")} == {"changed"}, ran.text
    for name in kubernetes.linux:
        stages = ran.stages(name)
        assert {stages[each] for each in ("artifacts", "runtime", "images", "kubelet", "ovnkube")} == {"changed"}
        assert {stages[each] for each in ("verify", "verify-node")} == {"ok"}, ran.text
        # The real ovnkube may need another start for its tunnels to Windows hosts.
        assert stages["node-ready"] in ({"ok", "changed"} if REAL else {"ok"}), ran.text
    stages = ran.stages("windows-1")
    assert {stages[each] for each in ("features", "artifacts", "kubelet", "hybrid-overlay", "kube-proxy")} == {
        "changed"
    }
    assert {stages["verify-windows"], ran.stages("master")["windows-ready"]} == {"ok"}, ran.text
    assert ready(kubernetes) == ready_now(kubernetes)


def test_the_second_time_changes_nothing(kubernetes: Cluster) -> None:
    """All steps are ok, no service starts anew and not one file of a host is written; nor by a dry run or a verify."""
    before = disks(kubernetes)
    started = {host: kubernetes.shell(host, STARTS) for host in kubernetes.linux}
    ran = kubernetes.run("bootstrap")
    assert (ran.status, set(ran.hosts.values()), ran.count("changed")) == (0, {"ok"}, 0), ran.text
    dry = kubernetes.run("bootstrap", "--dry-run")
    assert (dry.status, set(dry.hosts.values()), dry.count("would-change")) == (0, {"ok"}, 0), dry.text
    seen = kubernetes.run("verify")
    assert (seen.status, set(seen.hosts.values()), seen.count("failed")) == (0, {"ok"}, 0), seen.text
    assert {host: kubernetes.shell(host, STARTS) for host in kubernetes.linux} == started
    assert disks(kubernetes) == before


def test_a_taint_that_was_taken_away_comes_back(kubernetes: Cluster) -> None:
    """Ordinary pods would come to the master; its kubelet does not give the taint a second time."""
    take = f"kubectl --kubeconfig={SUPERUSER_CONFIG} taint node master {MASTER_TAINT}- --overwrite"
    assert "node/master" in kubernetes.shell("master", take)
    for changed in (1, 0):
        ran = kubernetes.run("task", "labels")
        assert (ran.status, ran.count("changed")) == (0, changed), ran.text


def test_what_opens_the_cluster_is_for_root_alone(kubernetes: Cluster) -> None:
    """Keys, kubeconfigs and ovnkube's configuration; and neither a process nor the journal shows ovnkube's token."""
    for host in kubernetes.linux:
        modes = kubernetes.shell(host, f"stat -c '%a' {PRIVATE}").splitlines()
        assert len(modes) >= 5, modes
        assert set(modes) == {"600"}
        token = kubernetes.shell(host, "cat /etc/openvswitch/ovnkube-token")
        assert token
        assert token not in kubernetes.shell(host, "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'")
        assert "Parsed config" in kubernetes.shell(host, "journalctl -u ovnkube")
        assert kubernetes.shell(host, "journalctl --no-pager | grep -cFf /etc/openvswitch/ovnkube-token || :") == "0"


@real
def test_secrets_are_encrypted_in_etcd(kubernetes: Cluster) -> None:
    """The DNS server's configuration is found in etcd's files as it is; a service account's token is not."""
    token = kubernetes.shell("master", "cat /etc/openvswitch/ovnkube-token")
    assert kubernetes.shell("master", "grep -rlaF 'lameduck 5s' /var/lib/etcd")
    assert kubernetes.shell("master", f"grep -rlaF '{token}' /var/lib/etcd") == ""
    assert (
        kubernetes.shell("master", f"grep -rlaF \"$(printf %s '{token}' | base64 -w0 | cut -c1-60)\" /var/lib/etcd")
        == ""
    )


@real
def test_pods_reach_each_other_and_services(kubernetes: Cluster) -> None:
    """A pod on every node has its packets answered by every other, the API and the DNS; and then all are gone.

    The Windows host's end is its source VIP: real packets go to it and from it, over VXLAN.
    """
    ran = kubernetes.run("verify", "--traffic")
    assert (ran.status, set(ran.hosts.values()), ran.count("failed")) == (0, {"ok"}, 0), ran.text
    for name in kubernetes.hosts:
        steps = ran.steps(name, "pod-traffic")
        peers = {step for step in steps if step.startswith("check pod traffic to ")}
        assert peers == {f"check pod traffic to {other}" for other in kubernetes.hosts if other != name}, ran.text
        assert {steps[peer]["message"].split(";")[0] for peer in peers} == {"seen small 3/3, 1400 bytes 3/3"}
    for name in kubernetes.linux:
        steps = ran.steps(name, "pod-traffic")
        assert {steps[f"check {each}"]["status"] for each in ("service-api", "service-dns")} == {"ok"}, ran.text
    left = " ".join(kubernetes.leftovers().values())
    assert "ovn-runbooks-probe" not in left
    assert "ovnrbprobe" not in left
    assert kubernetes.shell("master", f"{NODES.partition(' get ')[0]} get namespaces -o name | grep probe") == ""


def test_a_worker_that_is_broken_is_named(kubernetes: Cluster) -> None:
    """With its ovnkube stopped and its network gone a verify says so of that worker alone; a bootstrap mends it."""
    kubernetes.shell("linux-2", "systemctl disable --now ovnkube; rm /etc/cni/net.d/*")
    ran = kubernetes.run("verify")
    assert (ran.status, ran.host("linux-1"), ran.host("linux-2")) == (1, "ok", "failed"), ran.text
    assert "ovnkube inactive" in ran.text
    mended = kubernetes.run("bootstrap")
    assert (mended.status, mended.host("linux-1"), mended.host("linux-2")) == (0, "ok", "changed"), mended.text


def test_a_windows_host_that_is_broken_is_named(kubernetes: Cluster) -> None:
    """Its tunnels' device is gone, and the source VIP with it: a verify says so of it alone; a bootstrap mends it."""
    run_in_network(kubernetes.lab.folder, "windows-1", ["ip", "link", "delete", OVERLAY_NIC])
    ran = kubernetes.run("verify")
    others = {ran.host(name) for name in kubernetes.linux}
    assert (ran.status, others, ran.host("windows-1")) == (1, {"ok"}, "failed"), ran.text
    assert "on no NIC of the host" in ran.text
    mended = kubernetes.run("bootstrap")
    assert (mended.status, mended.host("linux-1"), mended.host("windows-1")) == (0, "ok", "changed"), mended.text


def test_a_killed_run_is_taken_up_again(kubernetes: Cluster) -> None:
    """Bare again, and killed when the API server has just been started: the next run makes the cluster all the same.

    Nothing is made twice: the authorities are those of before the kill, and no host has another one.
    """
    kubernetes.renew()
    said = kubernetes.kill_at(lambda line: "service kube-apiserver" in line, "bootstrap", "--verbose")
    assert "FAILED" not in said
    before = authorities(kubernetes)
    assert before
    ran = kubernetes.run_when_free("bootstrap")
    assert (ran.status, ran.count("failed")) == (0, 0), ran.text
    assert authorities(kubernetes) == before
    assert len(kubernetes.authorities()) == 1
    assert ready(kubernetes) == ready_now(kubernetes)
    again = kubernetes.run("bootstrap")
    assert (again.status, again.count("changed")) == (0, 0), again.text


def test_all_hosts_reboot_and_nobody_lends_a_hand(kubernetes: Cluster) -> None:
    """Everything comes up by itself: services, tunnels, nodes that are ready since this boot, and names."""
    kubernetes.reboot()
    kubernetes.until(lambda: ready(kubernetes) == ready_now(kubernetes), "ready nodes")
    kubernetes.until(lambda: kubernetes.run("verify").status == 0, "a verify that finds nothing")
