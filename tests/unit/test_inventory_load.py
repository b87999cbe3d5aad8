"""ValidatedInventory: what a folder becomes, and that everything wrong in it is said at once, in the right place."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from plugins.errors import InventoryError
from plugins.inventory import cluster_settings, host_settings
from plugins.inventory.check import LONGEST_NODE_NAME
from plugins.inventory.model import HostSettings, Role
from plugins.inventory.networks import LONGEST_CLUSTER_NAME, LONGEST_OVERLAY_NAME
from plugins.inventory.validated import ValidatedInventory
from plugins.pki.profiles import Names, authority_name, identity
from plugins.pki.table import AUTHORITIES, LEAVES

CLUSTER = {
    "name": "demo",
    "pod_network": "10.244.0.0/16",
    "service_network": "10.100.0.0/16",
    "hybrid_network": "10.245.0.0/16",
    "dns_address": "10.100.0.10",
}


def write(folder: Path, hosts=None, groups=None, data=None, cluster=None, **defaults):
    """Write an inventory: the given parts over a sound one."""
    sound = {
        "master-1": {"hostname": "10.142.0.2", "groups": ["master"]},
        "linux-1": {"hostname": "10.142.0.3", "groups": ["linux"]},
    }
    data = {"cluster": CLUSTER | (cluster or {}), **(data or {})}
    (folder / "hosts.yaml").write_text(yaml.safe_dump(sound | (hosts or {}), sort_keys=False))
    (folder / "groups.yaml").write_text(yaml.safe_dump({"master": None, "linux": {}, "windows": {}} | (groups or {})))
    (folder / "defaults.yaml").write_text(yaml.safe_dump({"data": data, **defaults}))
    return folder


def findings(folder: Path) -> list[str]:
    """Load and give the findings, without the folder in front; none if it loads."""
    try:
        ValidatedInventory(folder).load()
    except InventoryError as error:
        return [finding.removeprefix(f"{folder}/") for finding in error.findings]
    return []


def linux(**keys):
    """Give a hosts.yaml entry of a sound Linux host, with these keys of data."""
    return {"hostname": "10.142.0.3", "groups": ["linux"], "data": keys}


def test_a_sound_inventory_becomes_nornir_s(tmp_path):
    """Hosts keep the file's order and Nornir's own keys; data holds the settings and nothing else."""
    inventory = ValidatedInventory(
        write(
            tmp_path,
            {"linux-1": linux(mtu=1500) | {"port": 2222, "platform": "debian"}},
            {"linux": {"username": "ops", "data": {"nic": "ens4"}}},
            username="root",
        )
    ).load()
    master, worker = inventory.hosts.values()
    assert list(inventory.hosts) == ["master-1", "linux-1"]
    assert (worker.hostname, worker.port, worker.username, worker.platform) == ("10.142.0.3", 2222, "ops", "debian")
    assert (master.username, master.port, master.platform) == ("root", None, None)
    assert set(worker.data) == {"settings"}
    settings = host_settings(worker)
    assert (settings.name, settings.role, settings.address) == ("linux-1", Role.LINUX, IPv4Address("10.142.0.3"))
    assert (settings.mtu, settings.nic, settings.transport) == (1500, "ens4", "ssh")
    assert cluster_settings(worker).pod_network == IPv4Network("10.244.0.0/16")
    assert cluster_settings(worker) is inventory.defaults.data["cluster"]
    assert worker.has_parent_group("linux")
    assert not inventory.groups["linux"].data


def test_a_windows_host_is_reached_by_winrm(tmp_path):
    """The role decides about the transport where none is written."""
    write(tmp_path, {"windows-1": {"hostname": "10.142.0.5", "groups": ["windows"]}})
    host = ValidatedInventory(tmp_path).load().hosts["windows-1"]
    assert host_settings(host).transport == "winrm"


def test_the_strongest_layer_wins_key_by_key(tmp_path):
    """Host over group over defaults; the keys of ssh and labels are merged one by one, a secret's source is not."""
    write(
        tmp_path,
        {"linux-1": linux(ssh={"agent": False}, labels={"rack": "2"}, nic=None) | {"groups": ["linux", "site"]}},
        {
            "linux": {"data": {"ssh": {"password": {"env": "A"}}, "nic": "ens4", "mtu": 1400}},
            "site": {"groups": ["region"], "data": {"labels": {"site": "a", "rack": "0"}, "mtu": 1450}},
            "region": {"data": {"labels": {"region": "eu"}, "datapath": "netdev"}},
        },
        {"ssh": {"password": {"file": "/s"}, "connect_timeout": 5}, "sudo": None, "labels": {"region": "us"}},
    )
    host = host_settings(ValidatedInventory(tmp_path).load().hosts["linux-1"])
    assert (host.ssh.agent, host.ssh.connect_timeout) == (False, 5)
    assert (host.ssh.password.env, host.ssh.password.file) == ("A", None)
    assert host.labels == {"rack": "2", "site": "a", "region": "eu"}
    assert (host.nic, host.mtu, host.datapath) == (None, 1400, "netdev")


def test_a_group_s_containerd_and_kubelet_reach_hosts_that_set_other_keys(tmp_path):
    """What a group says of pods holds at its hosts, until a host says something else of the same key."""
    write(
        tmp_path,
        {"linux-1": linux(containerd={"snapshotter": "native"}, kubelet={"maxPods": 200})},
        {
            "linux": {
                "data": {
                    "containerd": {"restrict_oom_score_adj": True, "snapshotter": "overlayfs"},
                    "kubelet": {"podPidsLimit": 100, "maxPods": 50},
                }
            }
        },
    )
    host = host_settings(ValidatedInventory(tmp_path).load().hosts["linux-1"])
    assert (host.containerd.restrict_oom_score_adj, host.containerd.snapshotter) == (True, "native")
    assert host.kubelet == {"podPidsLimit": 100, "maxPods": 200}


def test_relative_files_start_at_the_inventory(tmp_path):
    """key_file and file: relative paths are found wherever the command is run."""
    write(tmp_path, data={"ssh": {"key_file": "keys/id", "password": {"file": "../pw"}}})
    ssh = host_settings(ValidatedInventory(tmp_path).load().hosts["linux-1"]).ssh
    assert ssh.key_file == tmp_path / "keys/id"
    assert ssh.password.file == tmp_path / "../pw"


def test_settings_cannot_be_changed(tmp_path):
    """Tasks of many threads read the settings; none can change them."""
    host = host_settings(ValidatedInventory(write(tmp_path)).load().hosts["linux-1"])
    assert isinstance(host, HostSettings)
    with pytest.raises(ValueError, match="frozen"):
        host.mtu = 1500


ONE_HOST = [
    ({"adress": "10.142.0.3"}, 'data.adress: unknown key; did you mean "address"?'),
    ({"mtu": 90000}, "data.mtu: 90000 is too large; write at most 9216"),
    ({"mtu": "1500"}, 'data.mtu: expected a whole number, found "1500"; write digits, without quotes and unit'),
    ({"mtu": True}, "data.mtu: expected a whole number, found true"),
    ({"nic_bridge": "no"}, 'data.nic_bridge: expected true or false, found "no"'),
    ({"nic_bridge": False}, "data.nic_bridge: false, and pods would reach neither the API nor anything outside"),
    ({"nic": "a/b"}, 'data.nic: "a/b" is no NIC of a Linux host'),
    ({"nic": "averylongnic15"}, "data.nic: its bridge would be called braverylongnic15"),
    ({"datapath": "kernel"}, 'data.datapath: "kernel" is not known here; write one of these: system, netdev'),
    ({"transport": "winrm"}, "data.transport: winrm does not reach hosts of the role linux; write ssh"),
    ({"transport": "shh"}, 'data.transport: "shh" is not known here; did you mean "ssh"?'),
    ({"role": "linux"}, "data.role: a role is a group; write groups: [master]"),
    ({"port": 22}, "data.port: it does not belong here; write it beside data, not in it"),
    ({"host_keys": "strict"}, "data.host_keys: it does not belong here; write it under data.ssh"),
    ({"cluster": {}}, "data.cluster: the cluster is the same for all hosts; write it in defaults.yaml"),
    ({"ssh": "root"}, 'data.ssh: expected keys with values, found "root"; write KEY: VALUE lines below it'),
    ({"ssh": {"host_key": "strict"}}, 'data.ssh.host_key: unknown key; did you mean "host_keys"?'),
    (
        {"ssh": {"host_keys": "no"}},
        'data.ssh.host_keys: "no" is not known here; write one of these: strict, accept-new',
    ),
    ({"ssh": {"connect_timeout": "15s"}}, 'data.ssh.connect_timeout: expected a number, found "15s"'),
    ({"labels": {"rack": 3}}, "data.labels.rack: expected text, found a number; put it in quotes"),
    ({"labels": {"rack": ["a"]}}, "data.labels.rack: expected text, found a list; write one value"),
    ({"labels": {"a b": "c"}}, 'data.labels.a b: "a b" is no label'),
    ({"labels": {"a": "b,c"}}, 'data.labels.a: "b,c" has a comma'),
    ({"address": "10.142.0.300"}, 'data.address: "10.142.0.300" is no IPv4 address; write four numbers'),
    ({"address": "10.142.0.3/20"}, 'data.address: "10.142.0.3/20" is no IPv4 address'),
    ({"address": 175046658}, "data.address: expected text such as 10.142.0.3"),
    ({"address": "fd00::3"}, 'data.address: "fd00::3" is IPv6, which is not supported yet'),
    ({"address": "127.0.0.1"}, "data.address: 127.0.0.1 lies in 127.0.0.0/8 (loopback)"),
    ({"address": "10.244.3.1"}, "data.address: 10.244.3.1 lies in the pod network 10.244.0.0/16"),
    ({"address": "10.100.3.1"}, "data.address: 10.100.3.1 lies in the service network 10.100.0.0/16"),
    ({"address": "10.142.0.2"}, "data.address: 10.142.0.2 is also the address of master-1"),
    ({7: 8}, "data.7: a key that YAML does not take for text; put the key in quotes"),
]


@pytest.mark.parametrize(("data", "said"), ONE_HOST, ids=[said.partition(";")[0] for _, said in ONE_HOST])
def test_one_wrong_key_of_a_host_is_one_finding(tmp_path, data, said):
    """File, host, key, what is wrong and what to do: one line, and no other that follows from it."""
    (finding,) = findings(write(tmp_path, {"linux-1": linux() | {"data": data}}))
    assert finding.startswith(f"hosts.yaml: linux-1: {said}")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"hostname": None}, "hostname: missing; write it: IPv4 address or DNS name to connect to"),
        ({"hostname": "linux_1"}, 'hostname: "linux_1" is no DNS name'),
        ({"hostname": "10.142.0"}, 'hostname: "10.142.0" is no IPv4 address'),
        ({"hostname": "fe80::1"}, 'hostname: "fe80::1" is IPv6, which is not supported yet'),
        ({"hostname": "[fe80::1]"}, 'hostname: "fe80::1" is IPv6, which is not supported yet'),
        ({"hostname": "a.example:22"}, 'hostname: "a.example:22" has a port in it; write a.example here, and port: 22'),
        ({"hostname": "a.example"}, 'data.address: missing, and hostname "a.example" is not an address'),
        ({"hostname": "10.142.0.2"}, "hostname: 10.142.0.2 is also the address of master-1; give each host its own"),
        ({"port": 70000}, "port: 70000 is too large; write at most 65535"),
        ({"port": 0}, "port: 0 is too small; write at least 1"),
        ({"port": "22"}, 'port: expected a whole number, found "22"'),
        ({"username": 5}, "username: expected text, found a number; put it in quotes"),
        ({"username": "a b"}, 'username: "a b" is empty or has a space'),
        ({"usernam": "root"}, 'usernam: unknown key; did you mean "username"?'),
        ({"ssh": {}}, "ssh: it does not belong here; write it under data"),
        ({"connection_options": {"ssh": {}}}, "connection_options: the runbooks make the connections themselves"),
        ({"groups": "linux"}, 'groups: expected a list, found "linux"; write it in brackets'),
        ({"groups": []}, "groups: no role among the groups; add exactly one of master, linux, windows"),
        ({"groups": ["site"]}, "groups: no role among the groups; add exactly one of master, linux, windows"),
        ({"groups": ["linx"]}, 'groups: there is no group "linx" in groups.yaml; did you mean "linux"?'),
        ({"groups": ["linux", "windows"]}, "groups: more than one role: linux, windows; keep one of them"),
        ({"groups": ["linux", "linux"]}, "groups: linux is named twice; name it once"),
        ({"groups": ["master"]}, "groups: a second master: master-1 is one already"),
        ({"data": []}, "data: expected keys with values, found a list"),
        ("10.142.0.3", 'expected keys with values, found "10.142.0.3"; write KEY: VALUE lines below it'),
    ],
)
def test_one_wrong_key_beside_data_is_one_finding(tmp_path, entry, said):
    """Nornir's own keys are checked like the project's."""
    whole = linux() | entry if isinstance(entry, dict) else entry
    (finding,) = findings(write(tmp_path, {"linux-1": whole}, {"site": {}}))
    assert finding.startswith(f"hosts.yaml: linux-1: {said}")


@pytest.mark.parametrize(
    ("name", "groups", "said"),
    [
        ("Linux-1", ["linux"], "the name is not an RFC 1123 name"),
        ("linux_1", ["linux"], "the name is not an RFC 1123 name"),
        ("-linux", ["linux"], "the name is not an RFC 1123 name"),
        ("a" * 64, ["linux"], "the name is not an RFC 1123 name"),
        ("linux.example.org", ["linux"], "the name is not an RFC 1123 name"),
        ("a" * 53, ["linux"], "the name has 53 characters, and a node's certificate has room for 52"),
        ("sig-windows-worker", ["windows"], "the name has 18 characters, and Windows takes at most 15"),
        ("12345", ["windows"], "Windows takes no name of digits alone"),
    ],
)
def test_names_are_checked(tmp_path, name, groups, said):
    """Names must do as host names everywhere; Windows takes shorter ones."""
    (finding,) = findings(write(tmp_path, {name: {"hostname": "10.142.0.9", "groups": groups}}))
    assert finding.startswith(f"hosts.yaml: {name}: {said}")


def test_a_name_that_yaml_takes_for_a_number_is_named(tmp_path):
    """A host called 7 is told to be put in quotes."""
    (finding,) = findings(write(tmp_path, {7: linux() | {"hostname": "10.142.0.9"}}))
    assert finding == "hosts.yaml: 7: YAML does not take this name for text; put it in quotes"


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ({"name": "Demo"}, 'name: "Demo" is no RFC 1123 name'),
        ({"name": "a" * 47}, f"name: {'a' * 47} has 47 characters, and certificates have room for 46"),
        ({"name": "a" * 55, "kubernetes": False}, f"name: {'a' * 55} has 55 characters, and certificates have room"),
        ({"podnetwork": "x"}, 'podnetwork: unknown key; did you mean "pod_network"?'),
        ({"pod_network": "10.244.0.0"}, 'pod_network: "10.244.0.0" is not written as a network; 10.244.0.0/32 is'),
        (
            {"pod_network": "10.244.0.1/16"},
            'pod_network: "10.244.0.1/16" is not written as a network; 10.244.0.0/16 is',
        ),
        ({"pod_network": "fd00::/48"}, 'pod_network: "fd00::/48" is IPv6, which is not supported yet'),
        ({"pod_network": "lan"}, 'pod_network: "lan" is no IPv4 network; write an address and a prefix length'),
        ({"pod_network": 10}, "pod_network: expected text such as 10.244.0.0/16"),
        ({"pod_network": "127.0.0.0/8"}, "pod_network: 127.0.0.0/8 touches 127.0.0.0/8 (loopback)"),
        ({"pod_network": None}, "pod_network: expected text such as 10.244.0.0/16"),
        ({"dns_address": "10.101.0.10"}, "dns_address: 10.101.0.10 lies outside the service network 10.100.0.0/16"),
        ({"dns_address": "10.100.0.1"}, "dns_address: 10.100.0.1 is the first address of the service network"),
        ({"dns_address": "10.100.0.0"}, "dns_address: 10.100.0.0 is the first or last address of the service network"),
        ({"dns_domain": "a..b"}, 'dns_domain: "a..b" is no DNS name'),
        ({"node_prefix": 40}, "node_prefix: 40 is too large; write at most 28"),
        ({"node_prefix": 12}, "node_prefix: a host's subnet /12 is larger than the whole pod network 10.244.0.0/16"),
        (
            {"pod_network": "10.244.0.0/24"},
            (
                "node_prefix: a host's subnet /24 is as large as the whole pod network 10.244.0.0/24; "
                "write a number above 24, or a larger pod_network"
            ),
        ),
        (
            {"pod_network": "10.244.0.0/24", "kubernetes": False},
            "pod_network: 10.244.0.0/24 holds 1 subnets of /24, too few for 2 hosts",
        ),
        (
            {"pod_network": "100.80.0.0/12"},
            (
                "pod_network: 100.80.0.0/12 overlaps 100.88.0.0/16, the transit switch network of ovnkube itself; "
                "choose another pod_network"
            ),
        ),
        (
            {"service_network": "100.64.16.0/20", "dns_address": "100.64.16.10"},
            "service_network: 100.64.16.0/20 overlaps 100.64.0.0/16, the join network of ovnkube itself",
        ),
        (
            {"hybrid_network": "100.88.0.0/24", "hybrid_prefix": 26},
            "hybrid_network: 100.88.0.0/24 overlaps 100.88.0.0/16, the transit switch network of ovnkube itself",
        ),
        ({"host_network": "10.244.0.0/20"}, "host_network: 10.244.0.0/20 overlaps the pod network 10.244.0.0/16"),
        ({"encapsulation": "vxlan"}, 'encapsulation: "vxlan" is not known here; write one of these: geneve'),
        ({"northbound_port": 6642}, "southbound_port: 6642 is also the northbound_port"),
        ({"api_port": 6642}, "api_port: 6642 is also the southbound_port"),
        ({"api_port": 10250}, "api_port: 10250 is also the port of the kubelet"),
        ({"api_port": 22}, "api_port: 22 is also the port of SSH; give each its own port"),
        ({"southbound_port": 22, "kubernetes": False}, "southbound_port: 22 is also the port of SSH"),
        ({"vxlan_port": 6081}, "vxlan_port: 6081 is also the port of the tunnels between Linux hosts (Geneve)"),
        ({"hybrid_network": "10.244.8.0/24"}, "hybrid_network: 10.244.8.0/24 overlaps the pod network 10.244.0.0/16"),
        ({"release": "currnet"}, 'release: there is no release "currnet"; did you mean "current"?'),
    ],
)
def test_one_wrong_key_of_the_cluster_is_named(tmp_path, cluster, said):
    """The cluster's keys are checked one by one and against each other."""
    found = findings(write(tmp_path, cluster=cluster))
    assert found[-1].startswith(f"defaults.yaml: defaults: data.cluster.{said}")
    assert len(found) == 1 or "host_network" in cluster


@pytest.mark.parametrize("kubernetes", [True, False])
def test_the_longest_names_are_those_that_certificates_have_room_for(tmp_path, kubernetes):
    """What loads is issued, too: names of that length fill the subjects up to the last character."""
    cluster = "c" * (LONGEST_CLUSTER_NAME if kubernetes else LONGEST_OVERLAY_NAME)
    host = "h" * (LONGEST_NODE_NAME if kubernetes else 63)
    more = {host: {"hostname": "10.142.0.9", "groups": ["linux"]}}
    assert findings(write(tmp_path, more, cluster={"name": cluster, "kubernetes": kubernetes})) == []
    rows = [each for each in AUTHORITIES if kubernetes or each.name == "ovn"]
    names = Names(cluster, host, "cluster.local", (IPv4Address("10.142.0.9"),))
    leaves = [each for each in LEAVES if Role.LINUX in each.roles and (kubernetes or each.name == "ovn")]
    subjects = [identity(each, names).common_name for each in leaves]
    assert max(len(authority_name(each, cluster)) for each in rows) == 64
    assert max(map(len, subjects)) == (64 if kubernetes else 63)


def test_a_missing_key_of_the_cluster_says_what_it_is(tmp_path):
    """A required key that is not there comes with its meaning."""
    write(tmp_path)
    (tmp_path / "defaults.yaml").write_text("data: {cluster: {name: demo, pod_network: 10.244.0.0/16}}")
    assert findings(tmp_path) == [
        (
            "defaults.yaml: defaults: data.cluster.service_network: missing; "
            "write it: Network of the services' virtual addresses"
        ),
        (
            "defaults.yaml: defaults: data.cluster.dns_address: missing; "
            "write it: Service address of the cluster's DNS, inside service_network"
        ),
    ]
    for text in ("username: root\n", "data:\n", "data: {}\n", "data: {cluster: }\n"):
        (tmp_path / "defaults.yaml").write_text(text)
        (finding,) = findings(tmp_path)
        assert finding.startswith("defaults.yaml: defaults: data")


def test_sound_keys_are_compared_although_others_are_wrong(tmp_path):
    """All errors come at once: a wrong pod network does not hide that the other two overlap."""
    cluster = {"pod_network": "x", "host_network": "10.100.0.0/20", "name": "A"}
    found = findings(write(tmp_path, cluster=cluster))
    assert [finding for finding in found if "10.100.0.0/20 overlaps the service network" in finding]
    assert [finding for finding in found if 'pod_network: "x"' in finding]
    assert [finding for finding in found if "linux-1: hostname: 10.142.0.3 lies outside the host network" in finding]


def test_hosts_outside_the_host_network_are_named(tmp_path):
    """Every host's address is inside host_network, and none is its first or last."""
    hosts = {"linux-2": {"hostname": "10.142.16.1", "groups": ["linux"]}, "linux-3": linux(address="10.142.15.255")}
    hosts["linux-3"]["hostname"] = "a.example"
    found = findings(write(tmp_path, hosts, cluster={"host_network": "10.142.0.0/20"}))
    assert len(found) == 2
    assert found[0].startswith("hosts.yaml: linux-2: hostname: 10.142.16.1 lies outside the host network")
    assert found[1].startswith("hosts.yaml: linux-3: data.address: 10.142.15.255 is the first or last address")


def test_an_inherited_key_is_named_where_it_is_written(tmp_path):
    """What is wrong in a group or in defaults is said there, once, and not at each host."""
    hosts = {f"linux-{n}": {"hostname": f"10.142.0.{n}", "groups": ["linux"]} for n in range(4, 8)}
    found = findings(
        write(
            tmp_path,
            hosts,
            {"linux": {"data": {"nic": "a b", "mtuu": 3, "address": "10.0.0.1"}, "password": "hunter2"}},
            {"datapath": "kernel", "transport": "winrm"},
            usernam="root",
        )
    )
    assert [finding.split("; ")[0] for finding in found] == [
        "groups.yaml: linux: data.address: an address belongs to one host",
        "groups.yaml: linux: data.mtuu: unknown key",
        "groups.yaml: linux: password: a password never stands in the inventory",
        'groups.yaml: linux: data.nic: "a b" is no NIC of a Linux host',
        'defaults.yaml: defaults: data.datapath: "kernel" is not known here',
        "defaults.yaml: defaults: usernam: unknown key",
        "defaults.yaml: defaults: data.transport: winrm does not reach hosts of the role master",
        "defaults.yaml: defaults: data.transport: winrm does not reach hosts of the role linux",
    ]


def test_groups_that_inherit_from_themselves_are_named(tmp_path):
    """A circle of groups is an error and no endless loop."""
    found = findings(
        write(
            tmp_path,
            {"linux-1": linux() | {"groups": ["linux", "a"]}},
            {"a": {"groups": ["b"]}, "b": {"groups": ["a"]}, "c": {"groups": ["nowhere"]}},
        )
    )
    assert found == [
        "groups.yaml: a: groups: the group inherits from itself; break the circle",
        "groups.yaml: b: groups: the group inherits from itself; break the circle",
        (
            'groups.yaml: c: groups: there is no group "nowhere" in groups.yaml; '
            "known groups: a, b, c, linux, master, windows"
        ),
    ]


def test_a_role_group_that_is_not_written_is_asked_for(tmp_path):
    """The groups named like roles have to stand in groups.yaml."""
    write(tmp_path)
    (tmp_path / "groups.yaml").write_text("master:\n")
    (finding,) = findings(tmp_path)
    assert finding == 'hosts.yaml: linux-1: groups: there is no group "linux" in groups.yaml; add it there: linux: {}'


def test_no_master_and_two_masters_are_named(tmp_path):
    """Exactly one host is the master."""
    (finding,) = findings(write(tmp_path, {"master-1": linux() | {"hostname": "10.142.0.2"}}))
    assert finding == "hosts.yaml: no host has the role master; write groups: [master] at one host"
    (finding,) = findings(write(tmp_path, {"m-2": {"hostname": "10.142.0.9", "groups": ["master"]}}))
    assert finding.startswith("hosts.yaml: m-2: groups: a second master: master-1 is one already")


def test_hosts_behind_one_address_need_ports_of_their_own(tmp_path):
    """One hostname with two ports are two hosts; the same port twice is one too many."""
    hosts = {
        "linux-1": linux(address="10.142.0.3") | {"hostname": "127.0.0.1", "port": 2201},
        "linux-2": linux(address="10.142.0.4") | {"hostname": "127.0.0.1", "port": 2202},
    }
    assert findings(write(tmp_path, hosts)) == []
    hosts["linux-2"]["port"] = 2201
    assert findings(write(tmp_path, hosts)) == [
        (
            "hosts.yaml: linux-2: hostname: 127.0.0.1, port 2201, is also where linux-1 is reached; "
            "give each host its own hostname or port"
        )
    ]
    hosts["linux-2"] = linux() | {"hostname": "127.0.0.1"}
    assert "lies in 127.0.0.0/8 (loopback), where other hosts cannot reach it" in findings(write(tmp_path, hosts))[0]


def test_missing_and_empty_files_are_named(tmp_path):
    """Without folder, files or hosts the error says what to write."""
    with pytest.raises(InventoryError, match="there is no such inventory folder; name another one with -i FOLDER"):
        ValidatedInventory(tmp_path / "nowhere").load()
    assert [finding.split("; ")[0] for finding in findings(tmp_path)] == [
        "hosts.yaml: the file does not exist",
        "groups.yaml: the file does not exist",
        "defaults.yaml: defaults: the file does not exist",
    ]
    write(tmp_path)
    (tmp_path / "hosts.yaml").write_text("# linux-1:\n")
    assert [finding.split("; ")[0] for finding in findings(tmp_path)] == ["hosts.yaml: the file is empty"]


def test_a_file_that_is_not_yaml_does_not_hide_the_others(tmp_path):
    """A tab in hosts.yaml is reported together with what is wrong in defaults.yaml."""
    write(tmp_path, cluster={"dns_address": "10.100.0.1"})
    (tmp_path / "hosts.yaml").write_text("master-1:\n\tgroups: [master]\n")
    assert [finding.split("; ")[0] for finding in findings(tmp_path)] == [
        "hosts.yaml: line 2, column 1: a tab, where YAML takes only spaces",
        (
            "defaults.yaml: defaults: data.cluster.dns_address: 10.100.0.1 is the first address of the service network "
            "10.100.0.0/16, which Kubernetes gives to its API"
        ),
    ]


PASSWORDS = [
    {"password": "S3cret"},
    {"data": {"password": "S3cret"}},
    {"data": {"ssh_passwd": ["S3cret"]}},
    {"data": {"ansible_become_password": "S3cret", "secrets": {"S3cret": "S3cret"}}},
    {"data": {"ssh": {"password": "S3cret"}}},
    {"data": {"ssh": {"password": {"S3cret": None}}}},
    {"data": {"ssh": {"password": {"env": "S3cret!"}}}},
    {"data": {"ssh": {"password": {"command": "S3cret"}}}},
    {"data": {"ssh": {"password": {"env": ["S3cret"], "S3cret": {"S3cret": 1}}}}},
    {"data": {"ssh": {"password S3cret": None, "passphrase=S3cret": 1, "key_passphrase": ["S3cret"]}}},
    {"data": {"winrm": {"password": "S3cret"}}},
    {"data": {"sudo": {"password": 3}, "labels": {"token": "S3cret,", "token S3cret": "a"}}},
]


@pytest.mark.parametrize("entry", PASSWORDS)
def test_a_password_in_the_file_is_refused_and_not_shown(tmp_path, entry):
    """A password in the inventory is an error that says what to write instead, without showing it."""
    found = findings(write(tmp_path, {"linux-1": linux() | entry}))
    assert found
    assert "S3c" not in "".join(found)


def test_a_password_in_nornir_s_place_says_where_its_source_goes(tmp_path):
    """Nornir's password key leads to the keys that name a source."""
    (finding,) = findings(write(tmp_path, password="S3cret"))
    assert finding == (
        "defaults.yaml: defaults: password: a password never stands in the inventory; remove it, and write where it "
        "comes from: {env: NAME} in the password of data.ssh, data.winrm or data.sudo"
    )
    (finding,) = findings(write(tmp_path, data={"ssh": {"password": "S3cret"}}))
    assert finding == (
        "defaults.yaml: defaults: data.ssh.password: a secret itself never stands here; say where it comes from: "
        "{env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}"
    )


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["10.142.0.3", "10.244.0.0/16", "master", "linux", "ssh", "fe80::1", "1.2.3.4/33", "a" * 70])
)
WORDS = """hostname port username platform groups data ssh sudo labels password env file command cluster nic mtu
address transport pod_network dns_address node_prefix host_keys release config_file host master-1 linux-1"""
KEYS = st.sampled_from(WORDS.split()) | st.text(max_size=5) | st.integers() | st.booleans()
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(hosts=TREES, groups=TREES, defaults=TREES)
def test_any_yaml_is_either_loaded_or_explained(tmp_path, hosts, groups, defaults):
    """Whatever the three files hold, the only exception is InventoryError, and each finding is one line."""
    for name, tree in {"hosts": hosts, "groups": groups, "defaults": defaults}.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True))
    found = findings(tmp_path)
    assert all(finding and "\n" not in finding for finding in found)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(entry={"[key]": None}, data={"labels": {"[key]": 1, "a b": "c"}})
@given(entry=st.dictionaries(KEYS, TREES, max_size=4), data=st.dictionaries(KEYS, TREES, max_size=4))
def test_any_host_is_either_loaded_or_explained(tmp_path, entry, data):
    """Whatever one host holds in an otherwise sound inventory, it loads or is explained at that host."""
    found = findings(write(tmp_path, {"linux-1": linux() | {"data": data} | entry}))
    assert all(finding.startswith("hosts.yaml") for finding in found)


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (
            {"hybrid_network": None},
            "hybrid_network: missing, and there is a Windows host; write a network for its pods",
        ),
        ({"hybrid_network": "10.245.0.0/24", "hybrid_prefix": 22}, "hybrid_prefix: a host's subnet /22 is larger"),
        (
            {"hybrid_network": "10.245.0.0/24"},
            (
                "hybrid_prefix: a host's subnet /24 is as large as the whole network 10.245.0.0/24; "
                "write a number above 24, or a larger hybrid_network"
            ),
        ),
        (
            {"hybrid_network": "10.245.0.0/23"},
            "hybrid_network: 10.245.0.0/23 holds too few subnets of /24 for 3 Windows",
        ),
    ],
)
def test_pods_on_windows_hosts_have_a_network_of_their_own(tmp_path, cluster, said):
    """It is needed as soon as there is a Windows host, with a subnet for each; without Kubernetes it is not."""
    count = 3 if "few" in said else 1
    hosts = {f"windows-{n}": {"hostname": f"10.142.0.{n + 10}", "groups": ["windows"]} for n in range(count)}
    (found,) = findings(write(tmp_path, hosts, cluster=cluster))
    assert found.startswith(f"defaults.yaml: defaults: data.cluster.{said}")
    assert findings(write(tmp_path, hosts, cluster=cluster | {"kubernetes": False})) == []


def test_an_overlay_alone_may_leave_the_nic_where_it_is(tmp_path):
    """Without Kubernetes nothing needs the NIC's bridge, nor ports of its parts."""
    folder = write(
        tmp_path, {"linux-1": linux(nic_bridge=False)}, cluster={"kubernetes": False, "northbound_port": 2379}
    )
    assert findings(folder) == []
