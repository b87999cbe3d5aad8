"""The services of a lab's Windows host against the strict stand-in API, over real TLS; their tunnels: tests/lab."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from standin.api import Api, Rest
from standin.serve import Server, serve, tls

from plugins.lab.windows import given
from plugins.lab.windows.given import GivenError
from plugins.lab.windows.kubelet import Kubelet
from plugins.lab.windows.link import Way, gateway_mac
from plugins.lab.windows.overlay import ways
from plugins.lab.windows.plane import RealPlane
from plugins.lab.windows.proxy import Proxy
from plugins.simulate.files import Entry, Kind
from plugins.simulate.host import SimulatedHost
from plugins.simulate.state import HostState
from plugins.simulate.windows.state import Service, where
from plugins.simulate.world import World

HOST, API = "127.83.0.5", "127.83.0.2"
PLACE = "/api/v1/nodes/w"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/w"
VERSION = "v1.2.3"
NAMES = {
    "server": f"/CN=api\nsubjectAltName=IP:{API}",
    "kubelet": "/O=system:nodes/CN=system:node:w",
    "kubelet-server": f"/CN=w\nsubjectAltName=IP:{HOST}",
    "kube-proxy": "/CN=system:kube-proxy",
    "caller": "/CN=kube-apiserver",
}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One authority, a stranger, and the pairs of NAMES."""
    folder = tmp_path_factory.mktemp("pki")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for name in ("ca", "stranger"):
        openssl(folder, "req", "-x509", *new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    for name, words in NAMES.items():
        subject, _, more = words.partition("\n")
        (folder / "cnf").write_text(f"extendedKeyUsage=serverAuth,clientAuth\n{more}\n")
        openssl(folder, "req", "-new", *new, "-keyout", f"{name}.key", "-out", "csr", "-subj", subject)
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "cnf"]
        openssl(folder, "x509", "-req", "-in", "csr", "-out", f"{name}.pem", *sign)
    return folder


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def server(pki: Path, tmp_path: Path) -> Iterator[Server]:
    """The stand-in API at a port of its own."""
    flags = {"service-cluster-ip-range": "10.100.0.0/16", "kubelet-certificate-authority": str(pki / "ca.pem")}
    flags |= {
        f"kubelet-client-{what}": str(pki / f"caller.{end}") for what, end in (("certificate", "pem"), ("key", "key"))
    }
    context = tls(str(pki / "server.pem"), str(pki / "server.key"), str(pki / "ca.pem"))
    found = serve(API, 0, Rest, context, Api(flags, VERSION, tmp_path / "objects.json"))
    yield found
    found.shutdown()
    found.server_close()


def place(host: SimulatedHost, path: str, content: str) -> None:
    host.state.files.place(where(path), Entry(Kind.FILE, content=content))


@pytest.fixture
def host(pki: Path, server: Server) -> SimulatedHost:
    """A Windows host that has been given all that its services need, but no network for pods."""
    state = HostState("w", "windows", HOST)
    made = World([state], NoTimers()).hosts["w"]
    for name in NAMES:
        place(made, rf"C:\k\pki\{name}.pem", (pki / f"{name}.pem").read_text())
        place(made, rf"C:\k\pki\{name}-key.pem", (pki / f"{name}.key").read_text())
    place(made, r"C:\k\pki\ca.pem", (pki / "ca.pem").read_text())
    place(made, r"C:\k\kubelet.exe", f"from https://dl.example/{VERSION}/bin/kubelet.exe")
    url = f"https://{API}:{server.server_address[1]}"
    for name in ("kubelet", "kube-proxy"):
        pair = {"client-certificate": rf"C:\k\pki\{name}.pem", "client-key": rf"C:\k\pki\{name}-key.pem"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "users": [{"name": "u", "user": pair}],
            "clusters": [{"name": "k", "cluster": {"server": url, "certificate-authority": r"C:\k\pki\ca.pem"}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        }
        place(made, rf"C:\k\{name}.kubeconfig", yaml.safe_dump(config))
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": ["none"],
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": r"C:\k\pki\ca.pem"}},
        "tlsCertFile": r"C:\k\pki\kubelet-server.pem",
        "tlsPrivateKeyFile": r"C:\k\pki\kubelet-server-key.pem",
        "registerWithTaints": [{"key": "os", "value": "Windows", "effect": "NoSchedule"}],
    }
    place(made, r"C:\k\kubelet.yaml", yaml.safe_dump(kubelet))
    proxy = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "kernelspace",
        "clientConnection": {"kubeconfig": r"C:\k\kube-proxy.kubeconfig"},
    }
    place(
        made,
        r"C:\k\proxy.yaml",
        yaml.safe_dump({**proxy, "clientConnection": {"kubeconfig": r"C:\k\kube-proxy.kubeconfig"}}),
    )
    services = state.windows_part.services
    services["containerd"] = Service(r"C:\k\containerd.exe", state="Running")
    words = rf"--config=C:\k\kubelet.yaml --kubeconfig=C:\k\kubelet.kubeconfig --hostname-override=w --node-ip={HOST}"
    services["kubelet"] = Service(rf"C:\k\run.exe -log-file=C:\log.txt C:\k\kubelet.exe {words}")
    services["kube-proxy"] = Service(r"C:\k\kube-proxy.exe --config=C:\k\proxy.yaml")
    return made


class NoTimers:
    """Nothing is to happen later."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> object:
        """Timers."""
        raise AssertionError(f"{action} in {seconds} s")


def while_running(plane: RealPlane, host: SimulatedHost, story: Callable[[], Awaitable[None]]) -> None:
    """Have the host's services at work for as long as the story lasts."""

    async def told() -> None:
        following = asyncio.create_task(plane.follow(host))
        try:
            await asyncio.wait_for(story(), 30)
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following

    asyncio.run(told())


async def until(come: Callable[[], Any]) -> Any:
    """Await what comes in other threads, or never."""
    while True:
        if found := come():
            return found
        await asyncio.sleep(0.05)


def ready(server: Server) -> str:
    """Status and message of the node's condition Ready, as the API has it."""
    node = server.subject.store.get(PLACE) or {}
    conditions = {each["type"]: each for each in node.get("status", {}).get("conditions", ())}
    return f"{conditions['Ready']['status']}: {conditions['Ready']['message']}" if conditions else ""


def test_a_kubelet_registers_its_node_and_keeps_it(host: SimulatedHost, server: Server, tmp_path: Path) -> None:
    """Not ready before pods have a network, ready after; with a lease, and anew when somebody deletes it."""
    host.state.windows_part.services["kubelet"].state = "Running"

    async def story() -> None:
        store = server.subject.store
        assert await until(lambda: ready(server)) == (
            "False: container runtime network not ready: cni plugin not initialized"
        )
        node = store.get(PLACE)
        assert node["metadata"]["labels"]["kubernetes.io/os"] == "windows"
        assert node["metadata"]["labels"]["node.kubernetes.io/windows-build"] == "10.0.20348"
        assert node["spec"]["taints"] == [{"key": "os", "value": "Windows", "effect": "NoSchedule"}]
        assert {"type": "InternalIP", "address": HOST} in node["status"]["addresses"]
        info = node["status"]["nodeInfo"]
        assert (info["kubeletVersion"], info["operatingSystem"], info["bootID"]) == (
            VERSION,
            "windows",
            host.state.boot_id,
        )
        renewed = (await until(lambda: store.get(LEASE)))["spec"]["renewTime"]
        place(host, r"C:\k\cni\config\cni.conf", '{"name": "n", "type": "win-overlay"}')
        await asyncio.sleep(1)
        assert ready(server).startswith("False"), "the plugin's program is not there"
        place(host, r"C:\k\cni\win-overlay.exe", "program")
        # The API has asked this kubelet at its own port before it believed it.
        await until(lambda: ready(server).startswith("True"))
        await until(lambda: store.get(LEASE)["spec"]["renewTime"] > renewed)
        store.delete(PLACE)
        host.state.windows_part.services["containerd"].state = "Stopped"
        assert await until(lambda: ready(server)) == "False: container runtime is down"

    while_running(RealPlane(tmp_path / "run"), host, story)


def test_a_kube_proxy_says_whether_the_api_answers_it(
    host: SimulatedHost, server: Server, pki: Path, tmp_path: Path
) -> None:
    """With its own certificate it may list services; when the API is another's it says so."""
    plane = RealPlane(tmp_path / "run")
    assert plane.why_no_api(host, "") == "kube-proxy does not run"
    proxy = host.state.windows_part.services["kube-proxy"]
    proxy.state = "Running"

    async def story() -> None:
        await until(lambda: plane.why_no_api(host, "") == "")
        place(host, r"C:\k\pki\ca.pem", (pki / "stranger.pem").read_text())
        proxy.since += 1
        await until(lambda: "certificate verify failed" in plane.why_no_api(host, ""))

    while_running(plane, host, story)
    assert server.subject.store.get(PLACE) is None


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        (r"C:\k\kubelet.kubeconfig", "", "cannot find the file"),
        (r"C:\k\kubelet.kubeconfig", "kind: Pod", "no kind Config"),
        (r"C:\k\kubelet.yaml", "kind: [", "while parsing"),
        (r"C:\k\pki\kubelet.pem", "", r"open C:\\k\\pki\\kubelet.pem"),
        (r"C:\k\pki\kubelet-key.pem", "stranger.key", "private key does not match"),
        (r"C:\k\pki\kubelet-server-key.pem", "kubelet.key", "private key does not match"),
        (r"C:\k\pki\ca.pem", "nonsense", "does not contain any valid certificates"),
    ],
)
def test_a_kubelet_does_not_start_with_what_is_wrong(
    host: SimulatedHost, pki: Path, tmp_path: Path, path: str, content: str, said: str
) -> None:
    """The start is refused by name; at a boot the service ends, and its log has the reason."""
    place(host, path, (pki / content).read_text() if content.endswith(".key") else content)
    plane = RealPlane(tmp_path / "run")
    with pytest.raises(GivenError, match=said):
        Kubelet(host)
    why = plane.refusal(host, "kubelet")
    assert why
    service = host.state.windows_part.services["kubelet"]
    service.state = "Running"

    async def story() -> None:
        await until(lambda: service.state == "Stopped")

    while_running(plane, host, story)
    assert host.state.files.text("/c:/log.txt") == f"{why}\n"


def test_options_that_are_missing_are_named(host: SimulatedHost) -> None:
    """A command line without its kubeconfig, and a kube-proxy of another mode."""
    host.state.windows_part.services["kubelet"].command = r"C:\k\kubelet.exe --config=C:\k\kubelet.yaml"
    with pytest.raises(GivenError, match="--kubeconfig is not given"):
        Kubelet(host)
    place(host, r"C:\k\proxy.yaml", given.text(host, r"C:\k\proxy.yaml").replace("kernelspace", "iptables"))
    with pytest.raises(GivenError, match="mode iptables"):
        Proxy(host)


def test_ways_to_nodes_are_what_their_annotations_say() -> None:
    """A Linux node is behind its gateway's address, a Windows host behind its subnet's first; half told is none."""
    mark = "k8s.ovn.org/hybrid-overlay-"
    router = f"{mark}distributed-router-gateway-"
    linux = {f"{router}ip": "10.244.0.3", f"{router}mac": "0a:58:0a:f4:00:03"}
    linux["k8s.ovn.org/node-subnets"] = '{"default": ["10.244.0.0/24", "fd00::/64"]}'
    told = {
        "l": linux,
        "m": {**linux, f"{router}mac": ""},
        "w": {f"{mark}node-subnet": "10.245.0.0/24", f"{router}mac": gateway_mac("10.245.0.0/24")},
        "x": {f"{mark}node-subnet": "10.245.1.0/24", f"{router}mac": "00:15:5d:f5:01:00"},
    }
    nodes = [
        {
            "metadata": {"name": name, "annotations": annotations},
            "status": {"addresses": [{"type": "InternalIP", "address": f"10.142.0.{number}"}]},
        }
        for number, (name, annotations) in enumerate(told.items(), start=2)
    ]
    assert set(ways(nodes, "w")) == {
        Way("10.244.0.0/24", "10.244.0.3", "0a:58:0a:f4:00:03", "10.142.0.2"),
        Way("10.245.1.0/24", "10.245.1.1", "00:15:5d:f5:01:00", "10.142.0.5"),
    }
    assert gateway_mac("10.245.0.0/24") == "00:15:5d:f5:00:00"
