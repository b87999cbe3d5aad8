"""The block data.winrm: what does not go together is refused where it is written, and secrets are asked for early."""

import pytest
from nornir.core.inventory import Host
from test_inventory_load import findings, write

from plugins.errors import InventoryError
from plugins.inventory import host_settings, read_secrets
from plugins.inventory.model import HostSettings
from plugins.inventory.validated import ValidatedInventory


def windows(**winrm):
    """Give a hosts.yaml with one Windows host more, with these keys of data.winrm."""
    return {"windows-1": {"hostname": "10.142.0.5", "groups": ["windows"], "data": {"winrm": winrm}}}


@pytest.mark.parametrize(
    ("winrm", "finding"),
    [
        ({"scheme": "http", "authentication": "basic"}, "authentication: basic over http can be read by anybody"),
        (
            {"scheme": "http", "message_encryption": "never"},
            "authentication: ntlm over http with message_encryption: never can be read by anybody",
        ),
        ({"authentication": "certificate", "key_file": "k"}, "certificate_file: missing, and authentication is"),
        (
            {"authentication": "certificate", "key_file": "k", "certificate_file": "c", "scheme": "http"},
            "scheme: a client certificate needs https",
        ),
        (
            {"authentication": "basic", "message_encryption": "always"},
            "message_encryption: basic brings no keys to encrypt messages with",
        ),
        ({"operation_timeout": 30}, "read_timeout: 30 s is not longer than operation_timeout (30 s)"),
        ({"server_certificate": "no"}, "server_certificate: "),
        ({"verify": False}, "verify: "),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, winrm, finding):
    """One line says file, host, key, and what to write."""
    (found,) = findings(write(tmp_path, windows(**winrm)))
    assert found.startswith(f"hosts.yaml: windows-1: data.winrm.{finding}")


@pytest.mark.parametrize(
    "winrm",
    [
        {},
        {"scheme": "http"},
        {"scheme": "http", "authentication": "basic", "allow_unencrypted": True},
        {"authentication": "certificate", "key_file": "k", "certificate_file": "c"},
        {"authentication": "kerberos", "message_encryption": "always"},
    ],
)
def test_what_goes_together_loads(tmp_path, winrm):
    """Encrypted by TLS or by the login's keys, or written down as readable."""
    assert findings(write(tmp_path, windows(**winrm))) == []


def test_a_contradiction_with_a_group_is_found_where_it_is_written(tmp_path):
    """A host that goes over http finds its group's basic in the way: the group's line is named."""
    hosts = windows(scheme="http")
    (found,) = findings(write(tmp_path, hosts, {"windows": {"data": {"winrm": {"authentication": "basic"}}}}))
    assert found.startswith("groups.yaml: windows: data.winrm.authentication: basic over http")


def test_two_hosts_at_one_address_are_told_apart_by_the_scheme_s_port(tmp_path):
    """5986 for https, 5985 for http: these two are not reached at one place."""
    both = windows() | {
        "windows-2": windows(scheme="http")["windows-1"]
        | {"data": {"winrm": {"scheme": "http"}, "address": "10.142.0.6"}}
    }
    assert findings(write(tmp_path, both)) == []


def test_paths_start_at_the_inventory_s_folder(tmp_path):
    """As everywhere in the inventory."""
    hosts = ValidatedInventory(write(tmp_path, windows(ca_file="ca.pem"))).load().hosts
    assert host_settings(hosts["windows-1"]).winrm.ca_file == tmp_path / "ca.pem"


def test_a_missing_password_is_named_before_any_host_is_touched(monkeypatch):
    """A login by ntlm needs a password, kerberos and certificates do not; what SSH would need is not asked for."""
    monkeypatch.delenv("OVN_TEST_SECRET", raising=False)

    def host(name, **data):
        keys = {"name": name, "role": "windows", "address": "10.142.0.5", "transport": "winrm"}
        return Host(name, data={"settings": HostSettings.model_validate(keys | data)})

    with pytest.raises(InventoryError) as caught:
        read_secrets(
            [
                host("windows-1", ssh={"password": {"env": "OVN_TEST_SECRET"}}),
                host("windows-2", winrm={"password": {"env": "OVN_TEST_SECRET"}}),
                host("windows-3", winrm={"authentication": "kerberos"}),
            ]
        )
    assert [finding.split(";")[0] for finding in caught.value.findings] == [
        "windows-1: data.winrm.password: ntlm needs one",
        "windows-2: data.winrm.password: environment variable OVN_TEST_SECRET is not set",
    ]
