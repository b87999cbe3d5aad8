"""The stand-ins refuse what the real programs would: flags, files, keys, certificates, configuration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import mirror
import pytest
from standin import certificates, documents, flags, kubectl
from standin.refusal import Refusal
from standin.store import Store

KUBELET = "kubelet.config.k8s.io/v1beta1/KubeletConfiguration"


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """An authority, a client's pair `node`, a server's pair `server`, and a stranger's authority."""
    config = tmp_path / "openssl.cnf"
    config.write_text(
        "[server]\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:a,IP:10.0.0.1\n[client]\nextendedKeyUsage=clientAuth\n"
    )
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for name in ("ca", "stranger"):
        pair = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"]
        run(tmp_path, "req", "-x509", *new, *pair)
    for name, kind, subject in (("node", "client", "/O=system:nodes/CN=system:node:a"), ("server", "server", "/CN=a")):
        run(tmp_path, "req", "-new", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "openssl.cnf", "-extensions", kind]
        run(tmp_path, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *sign)
    for key in tmp_path.glob("*.key"):
        key.chmod(0o600)
    return tmp_path


def run(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--no-such-flag=1"], "unknown flag: --no-such-flag"),
        (["--etcd-servers"], "needs an argument"),
        (["--allow-privileged=yes"], "true or false"),
        (["start"], "unexpected argument"),
        (["--secure-port=1", "--secure-port=2"], "twice"),
    ],
)
def test_flags_are_held_to_the_real_ones(words: list[str], said: str) -> None:
    """What is not on the component's list, or is given in another form, is refused by its name."""
    with pytest.raises(Refusal, match=said):
        flags.parse("kube-apiserver", words)


def test_good_pairs_are_taken(pki: Path) -> None:
    """A server's and a client's pair of the right authority, names and subject."""
    at = {name: str(pki / name) for name in ("ca.pem", "node.pem", "node.key", "server.pem", "server.key")}
    certificates.check_server(at["server.pem"], at["server.key"], at["ca.pem"], {"a", "10.0.0.1"})
    certificates.check_client(at["node.pem"], at["node.key"], at["ca.pem"], "system:node:a", ["system:nodes"])


def test_bad_pairs_are_refused(pki: Path) -> None:
    """Another authority, usage, name, subject or key, and a key that others may read."""
    server, node = (str(pki / "server.pem"), str(pki / "server.key")), (str(pki / "node.pem"), str(pki / "node.key"))
    authority = str(pki / "ca.pem")
    with pytest.raises(Refusal, match="does not chain"):
        certificates.check_server(*server, str(pki / "stranger.pem"), {"a"})
    with pytest.raises(Refusal, match="as client"):
        certificates.check_client(*server, authority)
    with pytest.raises(Refusal, match=r"no subject alternative name 10\.0\.0\.2"):
        certificates.check_server(*server, authority, {"10.0.0.2"})
    with pytest.raises(Refusal, match="its subject"):
        certificates.check_client(*node, authority, "system:node:b")
    with pytest.raises(Refusal, match="not the key of"):
        certificates.check_pair(node[0], server[1])
    (pki / "node.key").chmod(0o640)
    with pytest.raises(Refusal, match="others may read"):
        certificates.check_pair(*node)
    with pytest.raises(Refusal, match="No such file"):
        certificates.readable(str(pki / "none"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("noSuchField: 1", "unknown field"),
        ("kind: x", "twice"),
        ("a: [", "does not parse"),
        ("authentication: 1", "object"),
    ],
)
def test_configuration_is_strict(tmp_path: Path, more: str, said: str) -> None:
    """An unknown field, a key that stands twice, a wrong shape and bad YAML are refused."""
    file = tmp_path / "kubelet.yaml"
    text = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 5\n"
    file.write_text(text)
    assert documents.load(str(file), KUBELET)["maxPods"] == 5
    file.write_text(text + more + "\n")
    with pytest.raises(Refusal, match=said):
        documents.load(str(file), KUBELET)


def test_applying_again_changes_nothing_and_takes_away_what_is_no_longer_named(tmp_path: Path) -> None:
    """Fields of other managers stay."""
    store, path = Store(tmp_path / "objects.json"), "/api/v1/nodes/a"
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": {"x": "1"}}}
    first = store.apply(path, node, "one")
    assert store.apply(path, node, "one") == first
    store.apply(path, {"metadata": {"labels": {"y": "2"}}}, "two")
    again = store.apply(path, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}, "one")
    assert "x" not in again["metadata"].get("labels", {})
    assert Store(tmp_path / "objects.json").get(path) == again


def test_kubectl_knows_the_runbooks_forms_only() -> None:
    """Another command or flag, and one that the runbooks always give left out, are refused."""
    for words in (["edit"], ["get", "nodes", "--watch=1", "--kubeconfig=/k"], ["apply", "-f", "-", "--kubeconfig=/k"]):
        with pytest.raises(Refusal):
            kubectl.parse(words)
    node = {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    template = '{.metadata.name} {range .status.conditions[?(@.type=="Ready")]}{.status}{end}'
    assert kubectl.jsonpath(node, template) == "a True"
    assert kubectl.jsonpath(node, r'{.metadata}{"\n"}{.spec.taints}') == '{"name":"a"}\n'


def test_a_program_says_that_it_is_a_stand_in(tmp_path: Path) -> None:
    """In its version and in each refusal; the same input gives the same bytes."""
    file = tmp_path / "kubelet"
    file.write_bytes(mirror.program("kubelet", "v1"))
    assert file.read_bytes() == mirror.program("kubelet", "v1")
    file.chmod(0o755)
    where = {"PATH": os.environ["PATH"]}
    said = subprocess.run([str(file), "--version"], capture_output=True, text=True, check=True, env=where).stdout
    assert "stand-in" in said
    done = subprocess.run([str(file), "--bad=1"], capture_output=True, text=True, check=False, env=where)
    assert (done.returncode, "unknown flag: --bad" in done.stderr) == (1, True)
