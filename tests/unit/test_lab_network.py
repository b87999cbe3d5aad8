"""The lab's network and control groups, as far as they are decided without root."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from plugins.lab import cgroups
from plugins.lab.network import Network, overlapping

LAB = Network("labbr0", IPv4Network("10.142.0.0/20"))


def test_every_rule_carries_the_bridges_mark() -> None:
    """That is how `down` finds exactly ours, whatever else the machine has."""
    rules = LAB.rules()
    assert {(table, chain) for table, chain, *_ in rules} == {("nat", "POSTROUTING"), ("filter", "FORWARD")}
    assert all("ovn-runbooks-lab:labbr0" in rule for rule in rules)


@pytest.mark.parametrize(
    ("route", "found"),
    [
        ({"dst": "10.142.0.0/20", "dev": "ens4"}, "10.142.0.0/20 by ens4"),
        ({"dst": "10.142.0.7", "dev": "wg0"}, "10.142.0.7 by wg0"),
        ({"dst": "10.0.0.0/8", "dev": "tun0"}, "10.0.0.0/8 by tun0"),
        ({"dst": "10.142.0.0/20", "dev": "labbr0"}, ""),
        ({"dst": "default", "dev": "eth0"}, ""),
        ({"dst": "192.0.2.0/24", "dev": "eth0"}, ""),
    ],
    ids=["the same network", "an address in it", "a network around it", "our own", "default", "elsewhere"],
)
def test_a_network_that_the_machine_already_reaches_is_noticed(route: dict[str, str], found: str) -> None:
    """A second route to the lab's addresses would cut off one of the two."""
    said = overlapping(LAB, json.dumps([route]))
    assert said == (f"a route to {found}" if found else "")


MOUNTS_V1 = """\
30 20 0:25 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 20 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 20 0:27 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
33 20 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup rw
34 20 0:29 / /proc rw,relatime - proc proc rw
"""


def test_own_groups_are_found_in_every_hierarchy() -> None:
    """Old and new control groups side by side, each under its own mount and path."""
    text = "4:memory:/app/1\n3:cpu,cpuacct:/\n2:name=systemd:/user.slice\n1:freezer:/not-mounted\n0::/user.slice\n"
    assert cgroups.own(text, MOUNTS_V1) == [
        Path("/sys/fs/cgroup/memory/app/1"),
        Path("/sys/fs/cgroup/cpu,cpuacct"),
        Path("/sys/fs/cgroup/systemd/user.slice"),
        Path("/sys/fs/cgroup/unified/user.slice"),
    ]


def test_own_group_is_found_below_a_mounts_own_root() -> None:
    """In a container the mount shows only a part of the hierarchy."""
    mounts = "30 20 0:25 /docker/9 /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
    assert cgroups.own("0::/docker/9/lab\n", mounts) == [Path("/sys/fs/cgroup/lab")]


def test_processes_of_a_group_are_those_of_all_below(tmp_path: Path) -> None:
    """Nothing in a nested group is overlooked."""
    deep = tmp_path / "host" / "payload" / "system.slice"
    deep.mkdir(parents=True)
    (tmp_path / "cgroup.procs").write_text("")
    (deep / "cgroup.procs").write_text("41\n42\n")
    (tmp_path / "host" / "cgroup.procs").write_text("7\n")
    assert cgroups.processes([tmp_path]) == {7, 41, 42}
