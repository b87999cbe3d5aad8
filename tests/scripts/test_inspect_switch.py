"""What a host tells of its bridges, and of which NIC it tells it."""

from __future__ import annotations

import subprocess

import pytest

from plugins.scripts import libraries

# The tool by a function that says what it was asked for, a table a line. "lo" is a device that every machine has.
BODY = r"""
_fact() {
  printf '%s=%s\n' "$1" "$2"
  _json "$2" # as the real one does, which gives its REPLY away
}
_route_read() { DEFAULT_NIC=$ROUTE; }
ovs-vsctl() {
  local word
  while [[ $1 != -- ]]; do shift; done
  shift
  for word; do if [[ $word == -- ]]; then echo; else printf '%s ' "$word"; fi; done
}
ROUTE=$2
_inspect_switch "$1"
"""


def told(nic: str, route: str) -> dict[str, str]:
    """What the host tells with `nic` in the inventory and its default route through the device `route`."""
    script = "\n".join([libraries()["steps"], libraries()["inspect"], BODY])
    done = subprocess.run(["bash", "-c", script, "bash", nic, route], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("nic", "route", "seen"),
    [("eth1", "eth0", "eth1"), ("", "eth0", "eth0"), ("", "brlo", "lo"), ("", "bridge-7", "bridge-7"), ("", "", "")],
)
def test_the_nic_is_the_inventory_s_or_that_of_the_default_route(nic: str, route: str, seen: str) -> None:
    """Also where the route has moved to the NIC's bridge; its port is asked for as a text, whatever is in its name."""
    said = told(nic, route)
    assert said["nic"] == seen
    assert said["port"].endswith(f'find Port name="{seen}" ')


def test_each_table_is_told_by_its_own_name() -> None:
    """They come by one call, a line each."""
    asked = {
        name: text.split(" ", 1)[1].split(" name=")[0].strip() for name, text in told("eth0", "").items() if " " in text
    }
    assert asked == {
        "switch": "list Open_vSwitch",
        "bridges": "list Bridge",
        "uplinks": 'find Bridge external_ids:bridge-uplink!=""',
        "port": "find Port",
        "tunnels": "find Interface type=geneve",
    }
