"""What the operator's machine knows and keeps of a cluster: places, names, kubeconfig, tokens, keys."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from nornir.core import Nornir
from nornir.core.processor import Processors
from nornir.core.task import Task
from yaml import safe_dump

from plugins import kubernetes
from plugins.context import RunContext, attach
from plugins.errors import SettingsError, UsageError
from plugins.etcd import etcd_of
from plugins.inventory.model import Role
from plugins.kubeconfig import administrator_config, administrator_ends
from plugins.pki.keys import derived_secret, new_key
from plugins.pki.of_run import store_of
from plugins.pki.store import Store
from plugins.pki.table import ADMINISTRATORS, LEAVES
from plugins.releases import SHIPPED, load_release
from plugins.secret import Secret
from plugins.settings import ROOT, init, load_settings
from plugins.state_files import KUBECONFIG, keep, read_token, token_file

NOW = datetime.now(UTC)
HOSTS = {
    name: {"hostname": f"10.142.0.{number}", "groups": [role]}
    for number, (name, role) in enumerate({"m": "master", "a": "linux", "w": "windows"}.items(), 2)
}


def made(folder: Path, **more: object) -> Nornir:
    """Load an inventory of three hosts; state is kept below `folder`."""
    cluster = {
        "name": "demo",
        "pod_network": "10.244.0.0/16",
        "service_network": "10.100.0.0/16",
        "hybrid_network": "10.245.0.0/16",
        "dns_address": "10.100.0.10",
    }
    (folder / "hosts.yaml").write_text(safe_dump(HOSTS))
    (folder / "groups.yaml").write_text(safe_dump({"master": {}, "linux": {}, "windows": {}}))
    (folder / "defaults.yaml").write_text(safe_dump({"data": {"cluster": cluster | more}}))
    settings = load_settings(ROOT / "config.yaml").model_copy(update={"state_folder": folder / "state"})
    nornir = init(folder, settings)
    found = nornir.inventory.defaults.data["cluster"]
    attach(nornir, RunContext(settings, found, load_release(found.release, folder)))
    return nornir


def task_on(nornir: Nornir, host: str) -> Task:
    task = Task(lambda task: None, nornir, False, Processors())  # noqa: ARG005
    task.host = nornir.inventory.hosts[host]
    return task


@pytest.fixture
def nornir(tmp_path: Path) -> Iterator[Nornir]:
    return made(tmp_path)


@pytest.fixture
def context(nornir: Nornir) -> RunContext:
    return kubernetes.context_of(task_on(nornir, "m"))


def test_every_pair_has_a_place_of_its_own() -> None:
    """OVN's lies where Open vSwitch looks for it, etcd's belongs to etcd, and no two rows share a file."""
    places = {row.name: kubernetes.placement(row.name) for row in LEAVES}
    files = [path for place in places.values() for path in (place.certificate, place.key)]
    assert len(files) == len(set(files))
    assert places["ovn"].key.startswith("/etc/openvswitch/")
    assert {name for name, place in places.items() if place.owner != "root:root"} == {"etcd"}
    assert places["kubelet"].key == "/etc/kubernetes/tls/kubelet-key.pem"


def test_the_api_is_where_the_master_is(nornir: Nornir, tmp_path: Path) -> None:
    """By the master's address and the inventory's port, from whatever host; its service has the first address."""
    assert {kubernetes.api_url(task_on(nornir, host)) for host in HOSTS} == {"https://10.142.0.2:6443"}
    assert kubernetes.api_url(task_on(made(tmp_path, api_port=8443), "a")) == "https://10.142.0.2:8443"
    cluster = nornir.inventory.defaults.data["cluster"]
    assert kubernetes.api_address(cluster) == IPv4Address("10.100.0.1")
    assert kubernetes.api_name(cluster) == "kubernetes.default.svc.cluster.local"


def test_hosts_are_told_apart_by_role(nornir: Nornir) -> None:
    """Nodes are the Linux ones, the master's name is the databases' name, and a Windows host is noticed."""
    task = task_on(nornir, "a")
    assert set(kubernetes.node_hosts(task)) == {"m", "a"}
    assert kubernetes.master_name(task) == "m"
    assert kubernetes.has_windows(task)
    assert set(kubernetes.node_services(Role.LINUX)) == {"containerd", "kubelet", "ovnkube"}
    assert {"etcd", *kubernetes.CONTROL_PLANE} < set(kubernetes.node_services(Role.MASTER))


def test_names_of_certificates_have_both_addresses(nornir: Nornir) -> None:
    """The host's own, and the service address of the API."""
    names = kubernetes.names_of(task_on(nornir, "a"))
    assert (names.cluster, names.host, names.domain) == ("demo", "a", "cluster.local")
    assert names.addresses == (IPv4Address("10.142.0.3"),)
    assert names.service_addresses == (IPv4Address("10.100.0.1"),)


def test_an_overlay_alone_has_one_authority(tmp_path: Path) -> None:
    """Nothing of Kubernetes is made that nobody would use."""
    with_it, without = (
        kubernetes.context_of(task_on(made(tmp_path, kubernetes=wanted), "m")) for wanted in (True, False)
    )
    assert kubernetes.authorities_of(with_it) == ("ovn", "kubernetes", "etcd", "front-proxy")
    assert kubernetes.authorities_of(without) == ("ovn",)
    assert [row.name for row in kubernetes.rows_of(without, Role.MASTER)] == ["ovn"]


def test_etcd_is_for_the_api_server_beside_it_alone(nornir: Nornir) -> None:
    """It listens on the loopback, with a pair of its own and an authority that signs nothing else."""
    etcd = etcd_of(task_on(nornir, "m"))
    assert (etcd.name, etcd.url, etcd.peer_url) == ("m", "https://127.0.0.1:2379", "https://127.0.0.1:2380")
    assert etcd.place.owner == "etcd:etcd"
    assert etcd.authority == "/etc/kubernetes/tls/etcd-ca.pem"


def test_the_kubeconfig_is_the_administrators(nornir: Nornir, context: RunContext) -> None:
    """Certificate, key and authority are in it; a dry run before there are any gives none, and makes none."""
    names, url = kubernetes.names_of(task_on(nornir, "m")), "https://10.142.0.2:6443"
    assert administrator_config(context, names, url, NOW, dry_run=True) is None
    assert not (context.state_folder / "pki").exists()
    authority = store_of(context).ensure_authority("kubernetes", NOW, master=None)
    config = administrator_config(context, names, url, NOW, dry_run=False)
    assert config is not None
    assert "key" not in f"{config!r} {config}"
    content = yaml.safe_load(config.reveal())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    assert cluster["server"] == url
    assert base64.b64decode(cluster["certificate-authority-data"]).decode() == authority.certificate_pem
    leaf = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    assert [each.value for each in leaf.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)] == [
        ADMINISTRATORS
    ]
    again = administrator_config(context, names, url, NOW, dry_run=True)
    assert again is not None
    assert again.reveal() == config.reveal()
    kept = context.state_folder / KUBECONFIG
    assert administrator_ends(kept) is None
    keep(kept, config, dry_run=False)
    assert administrator_ends(kept) == leaf.not_valid_after_utc


@pytest.mark.parametrize("text", ["", "{", "users: []", "users: [{user: {client-certificate-data: '!'}}]"])
def test_a_kept_kubeconfig_that_holds_no_certificate(context: RunContext, text: str) -> None:
    """The error names the file and the way to another one."""
    kept = context.state_folder / KUBECONFIG
    keep(kept, Secret(text), dry_run=False)
    with pytest.raises(UsageError, match=f"{kept} holds no certificate: .*runbooks.task access"):
        administrator_ends(kept)


def test_what_is_kept_is_written_once_and_for_the_owner_alone(context: RunContext) -> None:
    """A dry run says that it would; a second time nothing is written; a token is read without its newline."""
    file = token_file(context, "ovnkube-node")
    assert read_token(context, "ovnkube-node") is None
    assert keep(file, Secret("eyJ.one\n"), dry_run=True)
    assert not file.exists()
    assert keep(file, Secret("eyJ.one\n"), dry_run=False)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    before = file.stat().st_ino
    assert not keep(file, Secret("eyJ.one\n"), dry_run=False)
    assert file.stat().st_ino == before
    token = read_token(context, "ovnkube-node")
    assert token is not None
    assert token.reveal() == "eyJ.one"


def test_a_kept_file_that_others_may_read_is_refused(context: RunContext) -> None:
    """The error names the file and what to do, and not what is in it."""
    file = context.state_folder / KUBECONFIG
    keep(file, Secret("hidden-words"), dry_run=False)
    file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600") as caught:
        keep(file, Secret("hidden-words"), dry_run=False)
    assert "hidden-words" not in str(caught.value)


def test_a_derived_secret_is_32_bytes_of_one_key() -> None:
    """The same key gives the same, another one another, and it is not the key."""
    one, two = new_key(), new_key()
    assert derived_secret(one).reveal() == derived_secret(one).reveal() != derived_secret(two).reveal()
    assert len(base64.b64decode(derived_secret(one).reveal())) == 32


def test_a_key_is_made_once_and_never_beside_the_masters(tmp_path: Path) -> None:
    """As authorities are: another one on the master stops it, and the same one is no change."""
    store = Store(tmp_path / "pki", "demo")
    held = store.ensure_key("service-account", master=None)
    assert held.changed
    again = Store(tmp_path / "pki", "demo").ensure_key("service-account", master=held.public_pem)
    assert (again.changed, again.public_pem, again.derived.reveal()) == (False, held.public_pem, held.derived.reveal())
    other = Store(tmp_path / "other", "demo")
    with pytest.raises(UsageError, match="service-account"):
        other.ensure_key("service-account", master=held.public_pem)
    assert not list((tmp_path / "other").rglob("*.pem"))


def test_a_release_says_which_images_and_versions_it_has() -> None:
    """By the artifact's name; what is not there is an error that names the release."""
    release = load_release("current", SHIPPED)
    assert release.image("pause").startswith("registry.k8s.io/pause:")
    assert release.version("kubelet").startswith("v1.")
    with pytest.raises(SettingsError, match="current names no image kubelet"):
        release.image("kubelet")
    with pytest.raises(SettingsError, match="current names no nothing"):
        release.version("nothing")


def test_pods_services_and_windows_have_networks_of_their_own(nornir: Nornir) -> None:
    """As the inventory says, with Kubernetes set up unless it says otherwise."""
    cluster = nornir.inventory.defaults.data["cluster"]
    assert (cluster.kubernetes, cluster.api_port, cluster.vxlan_port) == (True, 6443, 4789)
    assert (cluster.hybrid_network, cluster.hybrid_prefix) == (IPv4Network("10.245.0.0/16"), 24)
