"""The .network files that the NIC's move makes out of the one that the NIC has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from plugins.scripts import libraries

STATIC = """\
# by hand
[Match]
MACAddress=02:00:00:00:00:01
Name=lo

[Link]
MTUBytes=1400
MACAddress=02:00:00:00:00:13
RequiredForOnline=routable

[Network]
Address = 10.142.0.3/24
DNS=10.142.0.1

[Route]
Destination=10.9.0.0/16
Gateway=10.142.0.9

[Neighbor]
Address=10.142.0.7
MACAddress=02:00:00:00:00:07
"""
ASK = r"""
STEPS_FOLDER=$1 NETWORK_SOURCE=$2 NETWORK_NIC=lo NETWORK_BRIDGE=brlo NETWORK_ADDRESS=10.142.0.3
_network_texts 1400
status=$?
printf '%s\0' "$status" "$MESSAGE" "${NETWORK_FILES[@]}"
"""


def texts(folder: Path, source: str) -> tuple[int, str, dict[str, str]]:
    """Status, message and files; "lo" stands for the NIC, as every machine has it."""
    file = folder / "10-lo.network"
    file.write_text(source)
    script = "\n".join([libraries()["steps"], "NETWORK_FILES=()", libraries()["network"], ASK])
    command = ["bash", "-c", script, "bash", str(folder), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    status, message, *files = done.stdout.split("\0")[:-1]
    return int(status), message, dict(zip(files[::2], files[1::2], strict=True))


def lines(text: str) -> list[str]:
    """What counts of a file."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_bridge_gets_all_that_is_said_of_the_nic(tmp_path: Path) -> None:
    """Addresses, routes, neighbours and name servers move; what names the NIC, and its own MAC and MTU, stay behind."""
    status, _, files = texts(tmp_path, STATIC)
    assert status == 0
    assert list(files) == ["05-ovn-runbooks-lo.network", "05-ovn-runbooks-brlo.network"]
    assert lines(files["05-ovn-runbooks-brlo.network"]) == [
        "[Match]",
        "Name=brlo",
        "[Network]",
        "KeepConfiguration=static",
        "[Link]",
        "RequiredForOnline=routable",
        "[Network]",
        "Address = 10.142.0.3/24",
        "DNS=10.142.0.1",
        "[Route]",
        "Destination=10.9.0.0/16",
        "Gateway=10.142.0.9",
        "[Neighbor]",
        "Address=10.142.0.7",
        "MACAddress=02:00:00:00:00:07",
    ]
    assert lines(files["05-ovn-runbooks-lo.network"]) == [
        "[Match]",
        "Name=lo",
        "[Link]",
        "MTUBytes=1400",
        "MACAddress=02:00:00:00:00:13",
        "RequiredForOnline=no",
        "[Network]",
        "LinkLocalAddressing=no",
        "IPv6AcceptRA=no",
    ]


@pytest.mark.parametrize(
    "said", ["DHCP=yes", "DHCP=ipv4", "DHCP = true", "Address=10.142.0.3", "Address=10.142.0.3/20"]
)
def test_the_file_says_where_the_address_comes_from(tmp_path: Path, said: str) -> None:
    """The address itself, with or without a prefix, or DHCP."""
    assert texts(tmp_path, f"[Match]\nName=lo\n[Network]\n{said}\n")[0] == 0


@pytest.mark.parametrize("said", ["Address=10.142.0.33/24", "DHCP=ipv6", "DHCP=no", "Gateway=10.142.0.3"])
def test_a_file_that_would_give_another_address_is_refused(tmp_path: Path, said: str) -> None:
    """The bridge would come up without the address that the host is reached by."""
    status, message, _ = texts(tmp_path, f"[Match]\nName=lo\n[Network]\n{said}\n")
    assert status == 3
    assert "neither 10.142.0.3 nor DHCP" in message


@pytest.mark.parametrize("said", ["VLAN=lo.7", "Bond = bond0", "Bridge=br9", "MACVLAN=mv0"])
def test_a_nic_that_carries_others_is_refused(tmp_path: Path, said: str) -> None:
    """What stands on the NIC would be cut off; the words say which line it is, and what to do instead."""
    status, message, _ = texts(tmp_path, f"[Match]\nName=lo\n[Network]\nAddress=10.142.0.3/24\n{said}\n")
    assert status == 3
    assert said in message
    assert "nic_bridge: false" in message


def test_a_file_without_a_last_newline_loses_nothing(tmp_path: Path) -> None:
    """The last line counts, whether it is ended or not."""
    _, _, files = texts(tmp_path, "[Match]\nName=lo\n[Network]\nDNS=10.142.0.1\nAddress=10.142.0.3/24")
    assert "Address=10.142.0.3/24" in lines(files["05-ovn-runbooks-brlo.network"])
