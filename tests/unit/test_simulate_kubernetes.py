"""The API that simulated hosts share, their nodes and pods: as strict with each other as real ones would be."""

from __future__ import annotations

import pytest
import yaml

from plugins.simulate import api
from plugins.simulate.api import NoAnswerError
from plugins.simulate.faults import FaultBook, parse_fault
from plugins.simulate.files import Entry, Kind
from plugins.simulate.host import SimulatedHost
from plugins.simulate.nodes import condition, pod_address, pod_at, register_node
from plugins.simulate.state import HostState
from plugins.simulate.units import read_unit
from plugins.simulate.world import World

CA, PAIR = "/etc/kubernetes/tls/ca.pem", ("/etc/kubernetes/tls/c.pem", "/etc/kubernetes/tls/c-key.pem")
CONFIG = "/etc/kubernetes/kubelet.kubeconfig"
KUBECONFIG = {
    "clusters": [{"cluster": {"server": "https://10.142.0.2:6443", "certificate-authority": CA}}],
    "users": [{"user": {"client-certificate": PAIR[0], "client-key": PAIR[1]}}],
}
UNITS = {
    "etcd": "/usr/bin/etcd --name=m",
    "kube-apiserver": f"/usr/local/bin/kube-apiserver --secure-port=6443 \\\n  --client-ca-file={CA}",
    "kube-controller-manager": "/usr/local/bin/kube-controller-manager",
    "kubelet": f"/usr/local/bin/kubelet --config=/k.yaml --kubeconfig={CONFIG} --hostname-override=NAME --node-ip=10.1",
    "ovnkube": "/usr/local/bin/ovnkube --cluster-subnets=10.244.0.0/16/24 --mtu=1400",
}
ACCOUNT = """
kind: ServiceAccount
metadata: {name: node, namespace: ovn}
---
kind: Secret
metadata:
  name: node
  namespace: ovn
  labels: {a: "1"}
  annotations: {kubernetes.io/service-account.name: node}
type: kubernetes.io/service-account-token
"""


class Never:
    """Timers that do nothing later."""

    def call_later(self, seconds: float, action: object) -> None:
        """Forget it."""


def write(host: SimulatedHost, path: str, text: str) -> None:
    host.state.files.place(path, Entry(Kind.FILE, content=text))


@pytest.fixture
def world() -> World:
    """A master and a worker with every service running."""
    states = [HostState("m", "master", "10.142.0.2"), HostState("a", "linux", "10.142.0.3")]
    made = World(states, Never(), faults=FaultBook())
    for name, host in made.hosts.items():
        for path in (CA, *PAIR):
            write(host, path, path)
        write(host, CONFIG, yaml.safe_dump(KUBECONFIG))
        write(host, "/k.yaml", "registerWithTaints: [{key: t}]" if name == "m" else "{}")
        host.state.install("containerd", "1")
        for service, command in UNITS.items():
            if name == "m" or service in {"kubelet", "ovnkube"}:
                write(host, f"/etc/systemd/system/{service}.service", f"ExecStart={command.replace('NAME', name)}\n")
                write(host, f"/usr/local/bin/{service}", "artifact x y from https://example.org/v1.2.3/bin\n")
                assert host.state.start(service) == ""
    return made


def asked(world: World, name: str = "a") -> str:
    """What kubectl says on a host; nothing where the API answers."""
    try:
        api.ask(world.hosts[name], CONFIG)
    except NoAnswerError as error:
        return str(error)
    return ""


def test_the_api_answers_whom_it_trusts(world: World) -> None:
    """It needs etcd, an open port, the client's pair and one authority at both ends; the master passes no firewall."""
    assert asked(world) == ""
    for service in ("etcd", "kube-apiserver"):
        world.hosts["m"].state.stop(service)
        assert "was refused" in asked(world)
        world.hosts["m"].state.start(service)
    world.faults.add(parse_fault("m:firewall:port=tcp/6443"))
    assert "timeout" in asked(world)
    assert asked(world, "m") == ""
    world.faults.clear()
    world.hosts["a"].state.files.remove(PAIR[1])
    assert PAIR[1] in asked(world)
    write(world.hosts["a"], PAIR[1], "key")
    write(world.hosts["a"], CA, "another")
    assert "unknown authority" in asked(world)
    world.hosts["a"].state.files.remove(CONFIG)
    assert "no such file" in asked(world)


def test_objects_are_compared_and_merged(world: World) -> None:
    """What others have set stays, what is no longer in the text goes, and the same text is no difference."""
    master = world.hosts["m"]
    first = "kind: ConfigMap\nmetadata: {name: a, namespace: default, labels: {x: '1', y: '2'}}\ndata: {k: v}\n"
    assert "+  k: v\n" in api.difference(master, first)
    assert master.state.objects == {}
    api.apply(master, first)
    assert api.difference(master, first) == ""
    item = master.state.objects["ConfigMap default/a"]
    item["metadata"]["labels"]["theirs"] = "3"
    assert api.difference(master, first) == ""
    second = first.replace("x: '1', ", "").replace("k: v", "k: w")
    assert "-    x: '1'\n" in api.difference(master, second)
    api.apply(master, second)
    item = master.state.objects["ConfigMap default/a"]
    assert (item["metadata"]["labels"], item["data"]) == ({"y": "2", "theirs": "3"}, {"k": "w"})


def test_an_object_needs_its_namespace(world: World) -> None:
    """As on a real API, where it cannot even be compared before."""
    master = world.hosts["m"]
    with pytest.raises(NoAnswerError, match='namespaces "ovn" not found'):
        api.difference(master, ACCOUNT)
    api.apply(master, "kind: Namespace\nmetadata: {name: ovn}\n---" + ACCOUNT)
    api.forget_namespace(master, "ovn")
    assert master.state.objects == {}


def test_a_token_is_made_by_the_controller_manager_and_masked(world: World) -> None:
    """Only while that runs, once, and no diff shows it."""
    master = world.hosts["m"]
    api.apply(master, "kind: Namespace\nmetadata: {name: ovn}\n")
    master.state.stop("kube-controller-manager")
    api.apply(master, ACCOUNT)
    assert api.token_of(master, "ovn", "node") == ""
    master.state.start("kube-controller-manager")
    api.apply(master, ACCOUNT)
    token = api.token_of(master, "ovn", "node")
    assert len(token) > 40
    diff = api.difference(master, ACCOUNT.replace("kind: Secret", "apiVersion: v1\nkind: Secret"))
    assert "token: '***'" in diff
    assert master.state.objects["Secret ovn/node"]["data"]["token"] not in diff
    api.apply(master, ACCOUNT)
    assert api.token_of(master, "ovn", "node") == token


def test_a_node_registers_by_its_kubelet_alone(world: World) -> None:
    """With taints, address and version of the host; without the kubelet, or what runs its pods, there is none."""
    master, worker = world.hosts["m"], world.hosts["a"]
    for service in ("kubelet", "containerd"):
        worker.state.stop(service)
        register_node(worker)
        assert master.state.objects == {}
        worker.state.start(service)
    for host in (master, worker):
        register_node(host)
    nodes = master.state.objects
    assert [nodes[f"Node /{name}"]["spec"]["taints"] for name in ("m", "a")] == [[{"key": "t"}], []]
    assert nodes["Node /a"]["status"]["nodeInfo"]["kubeletVersion"] == "v1.2.3"
    assert condition(master, "a").startswith("False KubeletNotReady")  # ovnkube shows no token yet
    worker.state.stop("kubelet")
    assert condition(master, "a").startswith("Unknown")


def test_pods_are_found_by_their_addresses(world: World) -> None:
    """Each in a subnet of its own host, and nobody at another address."""
    for host in world.hosts.values():
        assert pod_at(world.hosts["m"], str(pod_address(host))) is host
    assert str(pod_address(world.hosts["a"])) == "10.244.1.5"
    assert pod_at(world.hosts["m"], "10.244.1.6") is None
    assert pod_at(world.hosts["m"], "10.244.9.5") is None


def test_a_service_without_its_program_does_not_start(world: World) -> None:
    """Nor one whose condition is not met, which systemd leaves alone without a word."""
    state = world.hosts["a"].state
    state.files.remove("/usr/local/bin/kubelet")
    assert "/usr/local/bin/kubelet" in state.start("kubelet")
    assert not state.running("kubelet")
    write(world.hosts["a"], "/etc/systemd/system/etcd.service", "ConditionPathExists=/none\nExecStart=/usr/bin/etcd\n")
    state.install("etcd-server", "3")
    assert not state.running("etcd")
    assert state.start("etcd") == ""
    assert not state.running("etcd")
    write(world.hosts["a"], "/none", "key")
    state.boot()
    assert state.running("etcd")
    file = read_unit(state.files, "etcd")
    assert file is not None
    assert file.program == "/usr/bin/etcd"


def test_kernel_settings_last_when_they_are_written(world: World) -> None:
    """A boot takes what the files say, and forgets the rest."""
    state = world.hosts["a"].state
    state.kernel["net/ipv4/ip_forward"] = "1"
    state.boot()
    assert state.kernel["net/ipv4/ip_forward"] == "0"
    write(world.hosts["a"], "/etc/sysctl.d/90-x.conf", "net/ipv4/ip_forward=1\n")
    state.boot()
    assert state.kernel["net/ipv4/ip_forward"] == "1"
