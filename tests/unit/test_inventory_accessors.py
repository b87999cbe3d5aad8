"""Accessors, secrets fetched up front, and the example inventory that is shipped."""

import pickle
from ipaddress import IPv4Address, IPv4Network

import pytest
from nornir.core.inventory import Host

from plugins.errors import InventoryError
from plugins.inventory import cluster_settings, host_settings, read_secrets
from plugins.inventory.model import HostSettings, Role
from plugins.inventory.validated import ValidatedInventory
from plugins.releases import SHIPPED


def test_the_shipped_inventory_is_the_seed_s_three_machines():
    """The example loads, with the addresses and networks of the seed document."""
    hosts = ValidatedInventory(SHIPPED).load().hosts
    found = {name: (host_settings(host).role, str(host_settings(host).address)) for name, host in hosts.items()}
    assert found == {
        "master-1": (Role.MASTER, "10.142.0.2"),
        "linux-1": (Role.LINUX, "10.142.0.3"),
        "windows-1": (Role.WINDOWS, "10.142.0.5"),
    }
    cluster = cluster_settings(hosts["linux-1"])
    assert cluster.pod_network == IPv4Network("10.244.0.0/16")
    assert cluster.service_network == IPv4Network("10.100.0.0/16")
    assert cluster.host_network == IPv4Network("10.142.0.0/20")
    assert (cluster.dns_address, cluster.dns_domain) == (IPv4Address("10.100.0.10"), "cluster.local")
    assert (cluster.release, cluster.node_prefix) == ("current", 24)


def test_a_host_that_another_plugin_loaded_has_no_settings():
    """A mistake in the program is told from a mistake in the inventory."""
    with pytest.raises(TypeError, match="load the inventory with ValidatedInventory"):
        host_settings(Host("a"))
    with pytest.raises(TypeError, match="load the inventory with ValidatedInventory"):
        cluster_settings(Host("a"))


def host(name: str, **data):
    keys = {"name": name, "role": "linux", "address": "10.142.0.3", "transport": "ssh"}
    return Host(name, data={"settings": HostSettings.model_validate(keys | data)})


def test_all_missing_secrets_are_named_at_once(tmp_path, monkeypatch):
    """Before any host is touched, every source that gives nothing is named with its host and key."""
    monkeypatch.delenv("OVN_TEST_SECRET", raising=False)
    monkeypatch.setenv("OVN_TEST_OTHER", "hunter2")
    hosts = [
        host("linux-1", ssh={"password": {"env": "OVN_TEST_SECRET"}, "key_passphrase": {"file": str(tmp_path / "no")}}),
        host("linux-2", ssh={"password": {"env": "OVN_TEST_OTHER"}}, sudo={"password": {"command": ["false"]}}),
    ]
    with pytest.raises(InventoryError) as caught:
        read_secrets(hosts)
    assert [finding.split("; ")[0] for finding in caught.value.findings] == [
        "linux-1: data.ssh.password: environment variable OVN_TEST_SECRET is not set",
        f"linux-1: data.ssh.key_passphrase: secret file {tmp_path}/no does not exist",
        "linux-2: data.sudo.password: secret command false ended with exit status 1",
    ]
    read_secrets([host("linux-3", ssh={"password": {"env": "OVN_TEST_OTHER"}})])


def test_all_files_that_cannot_be_read_are_named_at_once(tmp_path):
    """A wrong path here is not taken for a host that is down; what the transport does not use is not asked for."""
    (tmp_path / "file").write_text("")
    no, file = tmp_path / "no", tmp_path / "file"
    below = f"{file}/below cannot be read (Not a directory); check the path and its owner"
    files = {"ca_file": str(no), "certificate_file": str(file / "below"), "key_file": str(file)}
    hosts = [
        host("linux-1", ssh={"key_file": str(no)}, winrm={"ca_file": str(no)}),
        host("linux-2", ssh={"key_file": str(tmp_path)}),
        host("linux-3", ssh={"key_file": str(file)}),
        host("linux-4", ssh={"key_file": str(no)}, transport="memory"),
        host("windows-1", ssh={"key_file": str(no)}, winrm={"authentication": "kerberos"} | files, transport="winrm"),
    ]
    with pytest.raises(InventoryError) as caught:
        read_secrets(hosts)
    assert list(caught.value.findings) == [
        f"linux-1: data.ssh.key_file: {no} does not exist; correct the path",
        f"linux-2: data.ssh.key_file: {tmp_path} is no file; correct the path",
        f"windows-1: data.winrm.ca_file: {no} does not exist; correct the path",
        f"windows-1: data.winrm.certificate_file: {below}",
    ]


def test_a_pickled_inventory_holds_no_secret(monkeypatch):
    """Settings name the sources of secrets, never their values."""
    monkeypatch.setenv("OVN_TEST_OTHER", "hunter2-value")
    one = host("linux-1", ssh={"password": {"env": "OVN_TEST_OTHER"}})
    read_secrets([one])
    assert b"hunter2" not in pickle.dumps(host_settings(one))
    assert "hunter2" not in repr(one.data) + host_settings(one).model_dump_json()
