"""Every check of one host by itself: well, not well, and with a fact that is missing or garbled."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from plugins.checks.expected import Expected, tunnel_mtu, tunnel_nic
from plugins.checks.facts import HostFacts
from plugins.checks.host import HOST_RULES
from plugins.checks.model import Check, Grade, judge_all
from plugins.inventory.model import ClusterSettings, HostSettings
from plugins.releases import Release
from plugins.steps import Status

MASTER = "10.142.0.2"
GOOD = {
    "os_id": "debian",
    "os_version": "13",
    "os_name": "Debian GNU/Linux 13 (trixie)",
    "kernel": "6.12.0",
    "architecture": "amd64",
    "systemd": "yes",
    "machine_id": "0123456789abcdef0123456789abcdef",
    "boot_id": "eeed1409-ad5f-4ae6-9aa9-0123b2b352db",
    "hostname": "linux-1",
    "tools": "flock /usr/bin/flock\ntimeout /usr/bin/timeout\nperl /usr/bin/perl\nip /usr/sbin/ip",
    "cpus": "2",
    "memory_mib": "1960",
    "disk_free_mib": "/ 20000\n/var 20000",
    "inodes_free": "/ 500000\n/var 500000",
    "addresses": "lo 127.0.0.1/8\nens4 10.142.0.3/20",
    "default_nic": "ens4",
    "default_gateway": "10.142.0.1",
    "nics": "ens4 1460 networkd\nlo 65536 none",
    "listening": "tcp 22",
    "modules": "openvswitch available\ngeneve loaded",
    "tun_device": "yes",
    "system_id": "",
    "ovn_remote": "",
    "ovn_encap_ip": "",
    "packages": "openvswitch-switch available 3.5.0\novn-host available 25.03.0",
    "package_source": "",
    "packages_unfinished": "",
    "package_lock": "",
    "time_synchronised": "yes",
    "swap": "",
    "cgroup_version": "2",
    "installed_packages": "",
    "nameservers": "10.142.0.1",
    "cluster_traces": "",
    "clock": "1800000000000000",
    "clock_earliest": "1799999999990000",
    "clock_latest": "1800000000010000",
    "listen udp:6081": "listening",
    "listen tcp:10250": "listening",
    "listen tcp:6443": "listening",
    "listen tcp:2379": "listening",
    "listen tcp:2380": "listening",
    "listen tcp:6641": "listening",
    "listen tcp:6642": "listening",
    "listen_token": "0123abcd",
}
JOINED = {
    "addresses": "lo 127.0.0.1/8\nbrens4 10.142.0.3/20",
    "default_nic": "brens4",
    "nics": "brens4 1460 networkd\nens4 1460 networkd\nlo 65536 none",
    "packages": "openvswitch-switch installed 3.5.0\novn-host installed 25.03.0",
    "system_id": "linux-1",
    "ovn_remote": "ssl:10.142.0.2:6642",
    "ovn_encap_ip": "10.142.0.3",
    "listen udp:6081": "in-use the kernel",
    "listen tcp:10250": "in-use kubelet",
    "cluster_traces": "/etc/kubernetes/kubelet.kubeconfig https://10.142.0.2:6443",
}


def expected(**settings: object) -> Expected:
    keys = {"name": "linux-1", "role": "linux", "address": "10.142.0.3", "transport": "ssh"}
    needs = {"cpus": 2, "memory_mib": 1700, "disk_mib": 4096}
    return Expected(
        settings=HostSettings.model_validate(keys | settings),
        cluster=ClusterSettings(
            name="test",
            pod_network=IPv4Network("10.244.0.0/16"),
            service_network=IPv4Network("10.100.0.0/16"),
            dns_address=IPv4Address("10.100.0.10"),
        ),
        release=Release.model_validate(
            {
                "name": "current",
                "platforms": [{"id": "debian", "versions": ["12", "13"]}, {"id": "ubuntu", "versions": ["24.04"]}],
                "kubernetes_platforms": [{"id": "debian", "versions": ["13"]}, {"id": "ubuntu", "versions": ["24.04"]}],
                "kubernetes_packages": {"master": [], "linux": []},
                "packages": {
                    "master": ["openvswitch-switch", "ovn-host", "ovn-central"],
                    "linux": ["openvswitch-switch", "ovn-host"],
                },
                "kernel_modules": ["openvswitch", "geneve"],
                "requirements": {"master": needs, "linux": needs},
            }
        ),
        master=IPv4Address(MASTER),
    )


def judged(changes: dict[str, str | None] | None = None, **settings: object) -> dict[str, Check]:
    """All checks by id; a change to None takes a fact away."""
    texts = {name: text for name, text in (GOOD | (changes or {})).items() if text is not None}
    return {check.id: check for check in judge_all(HOST_RULES, HostFacts(texts), expected(**settings))}


def numbered(cases: list[tuple[str, dict[str, str], str]]) -> list[str]:
    """Ids of cases: the check's own, made unique."""
    return [f"{case[0]}-{number}" for number, case in enumerate(cases)]


def test_a_good_host_passes_every_check():
    """On a bare, fit machine every check is ok, and each says what it saw and wanted."""
    checks = judged()
    assert {check.status for check in checks.values()} == {Grade.OK}
    assert list(checks) == [rule.id for rule in HOST_RULES]
    for check in checks.values():
        step = check.step()
        assert step.status is Status.OK
        assert re.fullmatch(r"seen \S.*; wanted \S.*", step.message), step


def test_a_host_that_has_joined_passes_every_check():
    """What the runbook itself made of a host (bridge, tunnels, chassis) is as wanted on the next run."""
    assert {id: check for id, check in judged(JOINED).items() if check.status is not Grade.OK} == {}  # noqa: A001


def test_a_master_that_runs_ovn_passes_every_check():
    """The databases' own ports and sockets are not strangers' on the master."""
    changes = JOINED | {
        "hostname": "master-1",
        "addresses": f"brens4 {MASTER}/20",
        "ovn_remote": "unix:/var/run/ovn/ovnsb_db.sock",
        "packages": "openvswitch-switch installed 1\novn-host installed 1\novn-central installed 1",
        "listen tcp:6641": "in-use ovsdb-server",
        "listen tcp:6642": "in-use ovsdb-server",
        "listen tcp:6443": "in-use kube-apiserver",
        "listen tcp:2379": "in-use etcd",
        "cluster_traces": "/var/lib/etcd/master-1/member etcd\n/var/lib/etcd/default/member etcd",
        "listen udp:6081": "in-use Open vSwitch (userspace datapath)",
    }
    checks = judged(changes, name="master-1", role="master", address=MASTER)
    assert {check.status for check in checks.values()} == {Grade.OK}
    assert checks["port-in-use"].seen.startswith("tcp:6641 in use by ovsdb-server")


# The check, what is different on the host (or in the inventory, after "inventory:"), what the message must tell.
BAD: list[tuple[str, dict[str, str], str]] = [
    ("tools", {"tools": "flock -\ntimeout /bin/t\nperl -\nip /sbin/ip"}, "no flock, perl.*util-linux"),
    ("os", {"os_id": "ubuntu", "os_version": "20.04"}, "seen ubuntu 20.04; wanted one of debian 13, ubuntu 24.04"),
    ("os", {"os_version": "12"}, "seen debian 12; wanted .*, for Kubernetes; .* or write kubernetes: false"),
    ("os", {"os_version": ""}, "no version: testing or unstable"),
    ("systemd", {"systemd": "no"}, "another process 1"),
    ("cpus", {"cpus": "1"}, "seen 1 CPUs; wanted at least 2 CPUs"),
    ("memory", {"memory_mib": "980"}, "seen 980 MiB; wanted at least 1700 MiB"),
    ("disk", {"disk_free_mib": "/ 20000\n/var 3000"}, "3000 MiB free in /var; wanted .*4096 MiB in /var"),
    ("disk", {"disk_free_mib": "/ 511\n/var 9999"}, "511 MiB free in /,.*at least 512 MiB in /"),
    ("disk", JOINED | {"disk_free_mib": "/ 900\n/var 400"}, "400 MiB free in /var.*at least 512 MiB in /var"),
    ("inodes", {"inodes_free": "/ 500000\n/var 19999"}, "19999 free in /var"),
    ("hostname", {"hostname": "localhost"}, "hostnamectl"),
    ("hostname", {"hostname": "my_host"}, "seen my_host"),
    ("clock", {"clock": "1800000031000000"}, r"31\.00 s ahead of this machine \(to within 0\.01 s\)"),
    ("clock", {"clock": "1799999900000000"}, r"100\.00 s behind this machine"),
    (
        "package-source",
        {
            "packages": "openvswitch-switch missing -\novn-host missing -",
            "package_source": "http://a unreachable a port 80: connect: Connection refused",
        },
        "openvswitch-switch, ovn-host not in .* lists, and no source that answers: http://a a port 80: connect: Conn",
    ),
    ("address", {"addresses": "lo 127.0.0.1/8\nens4 10.142.0.9/20"}, "seen 10.142.0.9 on ens4; wanted 10.142.0.3"),
    ("address", {"addresses": "lo 127.0.0.1/8"}, "seen no address"),
    ("address", {"addresses": "ens5 10.142.0.3/20"}, "write nic: ens5 in the inventory"),
    ("nic", {"default_nic": ""}, "no default route"),
    ("nic", {"inventory:nic": "eth9"}, "seen ens4, lo; wanted eth9"),
    (
        "nic",
        {
            "default_nic": "enx001122334455",
            "nics": "enx001122334455 1500 networkd",
            "addresses": "enx001122334455 10.142.0.3/20",
        },
        "no room for the name of its bridge",
    ),
    ("nic-manager", {"nics": "ens4 1460 ifupdown"}, "ens4 managed by ifupdown; wanted networkd"),
    ("mtu", {"nics": "ens4 1457 networkd"}, "seen 1457 on ens4; wanted at least 1458"),
    ("mtu", {"inventory:mtu": "1400"}, "mtu: 1400 in the inventory.*1458"),
    ("mtu", JOINED | {"inventory:mtu": "9000"}, "seen 1460 on ens4; wanted 9000"),
    ("port-in-use", {"listen udp:6081": "in-use the kernel"}, "udp:6081 in use by the kernel.*stop what"),
    ("port-in-use", {"listen udp:6081": "in-use perl"}, "udp:6081 in use by perl"),
    ("datapath", {"modules": "openvswitch available\ngeneve missing"}, "no module geneve; wanted kernel modules open"),
    ("datapath", {"inventory:datapath": "netdev", "tun_device": "no"}, "wanted /dev/net/tun"),
    (
        "foreign-cluster",
        {"ovn_remote": "ssl:10.9.9.9:6642", "system_id": "node-7"},
        "seen ovn-remote ssl:10.9.9.9:6642, system-id node-7; wanted no OVN but this cluster's .master 10.142.0.2.",
    ),
    ("foreign-cluster", {"ovn_remote": "unix:/var/run/ovn/ovnsb_db.sock"}, "ovn-remote unix:"),
    ("foreign-cluster", {"ovn_remote": "ssl:10.142.0.2:6642,ssl:10.142.0.4:6642"}, "seen ovn-remote ssl:10.142.0.4"),
    ("port-in-use", {"listen tcp:10250": "in-use k3s"}, "tcp:10250 in use by k3s"),
    ("swap", {"swap": "/dev/sda2\n/swapfile"}, "seen /dev/sda2, /swapfile; wanted no swap; swapoff -a"),
    ("cgroups", {"cgroup_version": "1"}, "seen version 1; .*failCgroupV1"),
    ("container-runtime", {"installed_packages": "containerd.io 2.1\nkubelet 1.30"}, "containerd.io .* kubelet"),
    ("name-servers", {"nameservers": ""}, "seen none, and CoreDNS does not start.* an address that nobody has"),
    ("name-servers", {"nameservers": "127.0.0.53"}, "127.0.0.53, on the host's loopback.*systemd-resolved"),
    (
        "existing-cluster",
        {
            "cluster_traces": "/etc/kubernetes/kubelet.conf https://10.9.9.9:6443\n"
            "/etc/kubernetes/manifests/a.yaml static-pod"
        },
        "seen https://10.9.9.9:6443 ./etc/kubernetes/kubelet.conf., /etc/kubernetes/manifests/a.yaml; wanted no trace",
    ),
    ("existing-cluster", {"cluster_traces": "/var/lib/etcd/linux-1/member etcd"}, "seen /var/lib/etcd/linux-1/member"),
]


@pytest.mark.parametrize(("name", "changes", "message"), BAD, ids=numbered(BAD))
def test_a_host_that_is_not_fit_fails_the_check(name: str, changes: dict[str, str], message: str):
    """The check fails, tells what was seen and wanted, and ends with what to do; no other check of the list crashes."""
    inventory = {key.partition(":")[2]: value for key, value in changes.items() if key.startswith("inventory:")}
    settings = {key: int(value) if value.isdecimal() else value for key, value in inventory.items()}
    facts: dict[str, str | None] = {key: value for key, value in changes.items() if not key.startswith("inventory:")}
    checks = judged(facts, **settings)
    check, step = checks[name], checks[name].step()
    assert (check.status, step.status, step.name) == (Grade.FAILED, Status.FAILED, f"check {name}")
    assert re.search(message, step.message), step.message
    assert step.message.endswith(f"; {check.todo}")
    assert len(check.todo) > 10


NOTES: list[tuple[str, dict[str, str], str]] = [
    ("hostname", {"hostname": "vm-17"}, "wanted linux-1.*the node is called linux-1"),
    ("time-sync", {"time_synchronised": "no"}, "not synchronised.*timesyncd"),
    ("time-sync", {"time_synchronised": "unknown"}, "does not say"),
    ("clock", {"clock": "1800000002500000"}, "2.50 s ahead"),
    (
        "package-source",
        {
            "packages": "openvswitch-switch missing -\novn-host available 1",
            "package_source": "http://a reachable\nhttps://b unreachable b port 443: no answer in 5 s",
        },
        "openvswitch-switch not in the package lists; sources answer, but not https://b b port 443: no answer in 5 s",
    ),
    ("package-state", {"packages_unfinished": "iF foo 1\niHR bar 2"}, "left in the middle: foo, bar"),
    ("package-state", {"package_lock": "412 unattended-upgr"}, "the lock held by unattended-upgr .process 412"),
]


@pytest.mark.parametrize(("name", "changes", "message"), NOTES, ids=numbered(NOTES))
def test_what_does_no_harm_is_a_note(name: str, changes: dict[str, str | None], message: str):
    """The step is ok, and its message says that it is a note and what could be done."""
    step = judged(changes)[name].step()
    assert step.status is Status.OK
    assert re.search(message, step.message), step.message
    assert "; a note only: " in step.message


# What each check reads. A check that reads nothing but these cannot pass without them.
READS = {
    "tools": ["tools"],
    "os": ["os_id"],
    "systemd": ["systemd"],
    "cpus": ["cpus"],
    "memory": ["memory_mib"],
    "disk": ["disk_free_mib", "packages"],
    "inodes": ["inodes_free"],
    "hostname": ["hostname"],
    "time-sync": ["time_synchronised"],
    "clock": ["clock", "clock_earliest", "clock_latest"],
    "package-source": ["packages"],
    "package-state": ["packages_unfinished", "package_lock"],
    "address": ["addresses", "nics", "default_nic"],
    "nic": ["nics", "default_nic", "default_gateway"],
    "nic-manager": ["nics", "default_nic"],
    "mtu": ["nics", "default_nic"],
    "port-in-use": ["listen udp:6081", "listen tcp:10250", "ovn_encap_ip"],
    "datapath": ["modules"],
    "foreign-cluster": ["ovn_remote"],
    "swap": ["swap"],
    "cgroups": ["cgroup_version"],
    "container-runtime": ["installed_packages"],
    "name-servers": ["nameservers"],
    "existing-cluster": ["cluster_traces"],
}


@pytest.mark.parametrize(("name", "fact"), [(name, fact) for name, facts in READS.items() for fact in facts])
def test_a_missing_fact_fails_the_check_that_needs_it(name: str, fact: str):
    """Nothing passes for want of knowledge: the check fails and names the fact."""
    check = judged({fact: None})[name]
    assert check.status is Grade.FAILED
    if fact not in {"tools", "modules"}:
        assert fact in check.seen
    assert check.step().message.endswith("run again")


GARBLED = ["\x1b[31mred", "yes no maybe", "12 34 56", "a b c d e", "-1", "1e9", "٣", "/", "\n\n", "x" * 5000]


@pytest.mark.parametrize("garbage", GARBLED)
@pytest.mark.parametrize("fact", sorted(GOOD))
def test_a_garbled_fact_never_crashes(fact: str, garbage: str):
    """Whatever a host says, every check has an answer of the usual form, in bounded length."""
    for check in judged({fact: garbage}).values():
        message = check.step().message
        assert re.match(r"seen .*; wanted \S", message)
        assert len(message) < 1000


@pytest.mark.parametrize(
    ("name", "fact", "garbage"),
    [
        ("cpus", "cpus", "two"),
        ("memory", "memory_mib", "٣"),
        ("disk", "disk_free_mib", "/ 1\n/var lots"),
        ("disk", "disk_free_mib", "/ 99999"),
        ("systemd", "systemd", "perhaps"),
        ("time-sync", "time_synchronised", "perhaps"),
        ("address", "addresses", "ens4 10.142.0.300/20"),
        ("mtu", "nics", "ens4 1460"),
        ("port-in-use", "listen udp:6081", "in-use"),
        ("clock", "clock", "yesterday"),
        ("package-source", "packages", "openvswitch-switch installed 1"),
        ("package-source", "packages", "openvswitch-switch fine 1\novn-host fine 1"),
        ("package-state", "packages_unfinished", "iF"),
        ("cgroups", "cgroup_version", "two"),
        ("name-servers", "nameservers", "10.0.0.1 here"),
        ("existing-cluster", "cluster_traces", "/etc/kubernetes"),
    ],
)
def test_a_garbled_fact_fails_the_check_that_reads_it(name: str, fact: str, garbage: str):
    """The check fails and shows what it could not read."""
    assert judged({fact: garbage})[name].status is Grade.FAILED


def test_the_nic_is_found_inside_its_bridge():
    """The default route of a bridged NIC is the bridge's; a name that only begins with br is a NIC of its own."""
    bridged = HostFacts(GOOD | JOINED)
    for wanted in (None, "ens4", "brens4"):
        nic = tunnel_nic(bridged, wanted)
        assert nic is not None
        assert nic.name == "ens4"
    plain = tunnel_nic(HostFacts(GOOD | {"nics": "br0 1500 networkd\neth0 1500 none"}), "br0")
    assert plain is not None
    assert plain.name == "br0"


def test_the_tunnel_mtu_is_the_smaller_of_nic_and_inventory():
    """Packets are as large as the NIC takes them now, and never larger than the inventory says."""
    assert tunnel_mtu(HostFacts(GOOD), expected().settings) == 1460
    assert tunnel_mtu(HostFacts(GOOD), expected(mtu=1458).settings) == 1458
    assert tunnel_mtu(HostFacts(GOOD), expected(mtu=9000).settings) == 1460
    assert tunnel_mtu(HostFacts(GOOD | {"default_nic": ""}), expected().settings) is None


def test_a_larger_mtu_is_set_with_the_bridge():
    """Before the NIC moves into its bridge, an mtu above the NIC's is an order and not a mistake."""
    assert judged(mtu=9000)["mtu"].status is Grade.OK
    assert judged(mtu=9000, nic_bridge=False)["mtu"].status is Grade.FAILED
    assert judged(mtu=1458)["mtu"].status is Grade.OK


def test_without_a_bridge_any_manager_will_do():
    """The NIC is left alone, so nobody's configuration has to be rewritten."""
    assert judged({"nics": "ens4 1460 none"}, nic_bridge=False)["nic-manager"].status is Grade.OK


def test_the_userspace_datapath_needs_no_kernel_module():
    """With datapath: netdev only the TUN device counts."""
    assert judged({"modules": ""}, datapath="netdev")["datapath"].status is Grade.OK


@pytest.mark.parametrize(
    ("check", "changes", "field"),
    [
        ("swap", {"swap": "/swapfile"}, {"failSwapOn": False}),
        ("cgroups", {"cgroup_version": "1"}, {"failCgroupV1": False}),
    ],
)
def test_what_the_inventory_tells_the_kubelet_to_bear_stops_nobody(check, changes, field):
    """The kubelet starts there, as it was told to."""
    assert judged(changes)[check].status is Grade.FAILED
    assert judged(changes, kubelet=field)[check].status is not Grade.FAILED


def test_an_overlay_alone_asks_nothing_about_kubernetes():
    """Neither its checks nor its ports nor the platforms that only it lacks."""
    texts = {name: text for name, text in GOOD.items() if "10250" not in name} | {"os_version": "12"}
    sound = expected()
    overlay = Expected(
        sound.settings, sound.cluster.model_copy(update={"kubernetes": False}), sound.release, sound.master
    )
    checks = {check.id: check for check in judge_all(HOST_RULES, HostFacts(texts), overlay)}
    assert {check.status for check in checks.values()} == {Grade.OK}
    assert not checks.keys() & {"swap", "cgroups", "container-runtime", "name-servers", "existing-cluster"}


def test_where_there_is_windows_its_tunnels_port_is_looked_at_too():
    """It is free, or the kernel's own for Open vSwitch; the port is the cluster's."""
    sound = expected()
    hybrid = replace(sound, cluster=sound.cluster.model_copy(update={"vxlan_port": 9898}), hybrid=True)
    assert set(hybrid.ports) - set(sound.ports) == {"udp:9898"}
    for answer, grade in (("listening", Grade.OK), ("in-use socat", Grade.FAILED)):
        facts = HostFacts(GOOD | {"listen udp:9898": answer})
        checks = {check.id: check for check in judge_all(HOST_RULES, facts, hybrid)}
        assert checks["port-in-use"].status is grade
