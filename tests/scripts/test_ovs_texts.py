"""What Open vSwitch's tools print, as the library reads it: any value comes out as it went in."""

from __future__ import annotations

import json
import re
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.scripts import libraries

SHOW = r"""
for key in "${!OVS[@]}"; do printf '%s\0%s\0' "$key" "${OVS[$key]}"; done
"""
# Printed bare: a word that no other kind of value could be taken for.
BARE = re.compile(r"(?!(true|false)\Z)[A-Za-z_][A-Za-z0-9_.-]*")
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


def printed(text: str) -> str:
    """One string as OVSDB's tools print it (ovs-vsctl(8))."""
    return text if BARE.fullmatch(text) else json.dumps(text)


def taken(text: str) -> dict[str, str]:
    """What _ovs_take makes of it."""
    script = "\n".join([libraries()["steps"], libraries()["ovs"], '_ovs_take OVS "$1"', SHOW])
    done = subprocess.run(["bash", "-c", script, "bash", text], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    words = done.stdout.split("\0")[:-1]
    return dict(zip(words[::2], words[1::2], strict=True))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(VALUES.filter(bool), VALUES, max_size=4))
def test_every_pair_of_a_map_is_read(pairs: dict[str, str]) -> None:
    """Commas, braces, equal signs, quotes and backslashes in keys and values end nothing early."""
    inner = ", ".join(f"{printed(key)}={printed(value)}" for key, value in pairs.items())
    have = taken(f"external_ids        : {{{inner}}}\nother_config        : {{}}\n")
    assert have == {f"Open_vSwitch . external_ids:{key}": value for key, value in pairs.items()}


def test_the_tables_of_one_answer_are_told_apart() -> None:
    """As printed by `list` for four tables at once: one row, none, two bridges, their ports."""
    have = taken(
        'external_ids        : {hostname=m1, ovn-encap-ip="10.77.0.11"}\n'
        'other_config        : {userspace-tso-enable="true"}\n'
        "\n"
        'private_key         : "/etc/openvswitch/ovn-key.pem"\n'
        'certificate         : "/etc/openvswitch/ovn-cert.pem"\n'
        'ca_cert             : "/etc/openvswitch/ovn-ca.pem"\n'
        "\n"
        "name                : br-int\n"
        "datapath_type       : netdev\n"
        "fail_mode           : secure\n"
        "external_ids        : {}\n"
        'other_config        : {hwaddr="2a:b0:cf:e2:af:b3"}\n'
        "ports               : [851cf8ec-6f06-4de0-9e52-1b2342f1b25d]\n"
        "\n"
        "name                : breth0\n"
        "datapath_type       : netdev\n"
        "fail_mode           : []\n"
        "external_ids        : {bridge-id=breth0, bridge-uplink=eth0}\n"
        "other_config        : {}\n"
        "ports               : [0af5c1a9-8c3b-4c41-8be9-d8de9b4d0b40]\n"
        "\n"
        "_uuid               : 851cf8ec-6f06-4de0-9e52-1b2342f1b25d\n"
        "name                : br-int\n"
        "\n"
        "_uuid               : 0af5c1a9-8c3b-4c41-8be9-d8de9b4d0b40\n"
        "name                : eth0\n"
    )
    assert have["Open_vSwitch . external_ids:ovn-encap-ip"] == "10.77.0.11"
    assert have["Open_vSwitch . other_config:userspace-tso-enable"] == "true"
    assert have["SSL . ca_cert"] == "/etc/openvswitch/ovn-ca.pem"
    assert have["Bridge br-int datapath_type"] == "netdev"
    assert have["Bridge br-int other_config:hwaddr"] == "2a:b0:cf:e2:af:b3"
    assert have["Bridge breth0 external_ids:bridge-uplink"] == "eth0"
    assert "Bridge br-int external_ids:bridge-uplink" not in have
    assert have["Port eth0"] in have["Bridge breth0 ports"]
    assert have["Port eth0"] not in have["Bridge br-int ports"]


def test_connections_are_known_by_their_targets() -> None:
    """Two of them, and TLS: each has its own columns."""
    have = taken(
        'target              : "ptcp:6641"\ninactivity_probe    : []\n\n'
        'target              : "pssl:6641:10.77.0.11"\ninactivity_probe    : 60000\n\n'
        'private_key         : "/k"\ncertificate         : "/c"\nca_cert             : "/a"\n'
    )
    assert have["Connection pssl:6641:10.77.0.11 inactivity_probe"] == "60000"
    assert have["Connection ptcp:6641 inactivity_probe"] == "[]"
    assert have["SSL . private_key"] == "/k"
