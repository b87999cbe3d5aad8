"""The table of certificates: rows are data, and their texts are filled for one host."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from plugins.errors import UsageError
from plugins.inventory.model import Role
from plugins.pki.profiles import Names, Usage, authority_name, identity
from plugins.pki.store import Store
from plugins.pki.table import ADMINISTRATORS, AUTHORITIES, LEAVES, leaves_for

NAMES = Names("demo", "linux-1", "cluster.local", (ip_address("10.142.0.3"),), (ip_address("10.100.0.1"),))
ROWS = {row.name: row for row in LEAVES}
OVN = ROWS["ovn"]

NODE = {"kubelet", "kubelet-server"}
EXPECTED = {
    Role.LINUX: {"ovn", *NODE},
    Role.WINDOWS: {"kube-proxy", "ovn-node", *NODE},
    Role.MASTER: {
        *("ovn", "etcd", "etcd-client", "apiserver", "front-proxy-client", "apiserver-kubelet-client"),
        *("controller-manager", "scheduler", "superuser", *NODE),
    },
}


@pytest.mark.parametrize("role", Role)
def test_every_role_gets_its_own_certificates(role):
    """No worker gets an identity of the control plane, and nobody gets the administrator's."""
    assert {row.name for row in leaves_for(role)} == EXPECTED[role]


def test_only_the_runbooks_on_the_master_are_beyond_all_rules():
    """Members of system:masters cannot be refused anything, so that is one client certificate of the master's."""
    assert [row.name for row in LEAVES if row.organization == "system:masters"] == ["superuser"]
    assert ROWS["administrator"].organization == ADMINISTRATORS


def test_a_leaf_names_an_authority_of_the_table():
    """No row points at an authority that the table lacks, and names are unique."""
    names = [row.name for row in AUTHORITIES]
    assert {row.authority for row in LEAVES} <= set(names)
    assert len(names) == len(set(names))
    assert len(LEAVES) == len({row.name for row in LEAVES})


def test_ovn_names_are_host_name_full_name_and_every_address():
    """Both DNS names are there, since ovnkube accepts a server by DNS name only, and all addresses."""
    found = identity(OVN, replace(NAMES, addresses=(ip_address("10.142.0.3"), ip_address("192.0.2.7"))))
    assert found.common_name == "linux-1"
    assert found.dns == ("linux-1", "linux-1.cluster.local")
    assert [str(address) for address in found.addresses] == ["10.142.0.3", "192.0.2.7"]


def test_a_name_that_two_texts_yield_appears_once():
    """The same address given twice becomes one name."""
    address = ip_address("10.142.0.3")
    assert identity(OVN, replace(NAMES, addresses=(address, address))).addresses == (address,)


def test_a_domain_in_capitals_is_written_in_lower_case():
    """DNS does not tell capitals apart; some programs that compare certificate names do."""
    assert identity(OVN, replace(NAMES, domain="Cluster.Local")).dns[1] == "linux-1.cluster.local"


@pytest.mark.parametrize("host", ["", "Linux-1", "linux_1", "-a", "a-", "a..b", "../ca", "a/b", "*.b", "a" * 64, "ü"])
def test_a_host_name_that_is_no_dns_name_is_refused(host):
    """It would become a file name and a DNS name; the error names it."""
    with pytest.raises(UsageError, match="is not a DNS name") as caught:
        replace(NAMES, host=host)
    assert repr(host) in str(caught.value)


def test_a_subject_too_long_for_a_certificate_is_refused():
    """X.520 holds 64 characters; the error says how many there are."""
    with pytest.raises(UsageError, match="has 73 characters"):
        authority_name(AUTHORITIES[0], "a" * 63)
    with pytest.raises(UsageError, match="has 75 characters"):
        identity(ROWS["kubelet"], replace(NAMES, host="a" * 63))


def test_a_dns_name_too_long_is_refused():
    """Host name and domain fit one by one, but not joined."""
    with pytest.raises(UsageError, match="253"):
        identity(OVN, replace(NAMES, domain=".".join(["a" * 62] * 4)))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize("row", LEAVES, ids=lambda row: row.name)
def test_openssl_takes_every_row_for_its_purpose_alone(tmp_path, row):
    """A client's certificate serves nobody, and a server's is no client's; each chains to its own authority."""
    now = datetime.now(UTC)
    store = Store(tmp_path / "pki", "demo")
    store.ensure_authority(row.authority, now, master=None)
    leaf = store.ensure_leaf(row.name, NAMES, now)
    (tmp_path / "ca.pem").write_text(leaf.ca_pem)
    (tmp_path / "leaf.pem").write_text(leaf.certificate_pem)
    for usage, purpose in ((Usage.SERVER, "sslserver"), (Usage.CLIENT, "sslclient")):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "leaf.pem"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is (usage in row.usages), done.stderr
    assert not store.ensure_leaf(row.name, NAMES, now).changed


def test_kubernetes_names_are_filled():
    """Several placeholders, fixed names, an organization and a row without names all come out."""
    rows = {row.name: identity(row, NAMES) for row in LEAVES}
    assert rows["apiserver"].dns[-1] == "kubernetes.default.svc.cluster.local"
    assert [str(a) for a in rows["apiserver"].addresses] == ["10.142.0.3", "10.100.0.1", "127.0.0.1"]
    assert (rows["kubelet"].organization, rows["kubelet"].common_name) == ("system:nodes", "system:node:linux-1")
    assert rows["front-proxy-client"].dns == ()
