"""Every check of a Windows host by itself: well, not well, and with a fact that is missing or garbled."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from plugins.checks.expected import Expected, tunnel_mtu
from plugins.checks.facts import HostFacts
from plugins.checks.model import Check, Grade, judge_all
from plugins.checks.windows import WINDOWS_RULES
from plugins.inventory.model import ClusterSettings, HostSettings
from plugins.releases import SHIPPED, load_release
from plugins.steps import Status

NONE = "kubelet -\nkube-proxy -\nhybrid-overlay-node -\ncontainerd -\ndocker -"
GOOD = {
    "os_name": "Microsoft Windows Server 2022 Standard",
    "os_build": "20348.2700",
    "os_kind": "Server Core",
    "architecture": "amd64",
    "powershell": "5.1.20348.2700 FullLanguage",
    "hostname": "WINDOWS-1",
    "cpus": "2",
    "memory_mib": "4095",
    "disk_free_mib": "C: 30000\nD: 100",
    "addresses": "4 10.142.0.5/20\n1 127.0.0.1/8",
    "default_nic": "4",
    "default_gateway": "10.142.0.1",
    "nics": "4 1460 physical Ethernet 2",
    "listening": "tcp 135\ntcp 5986\nudp 53",
    "pending_reboot": "",
    "features": "Containers Disabled",
    "services": NONE,
    "time_synchronised": "yes",
    "clock": "1800000000000000",
    "clock_earliest": "1799999999990000",
    "clock_latest": "1800000000010000",
}
NODE = {
    "features": "Containers Enabled",
    "addresses": "12 10.142.0.5/20\n14 10.132.1.2/24\n1 127.0.0.1/8",
    "default_nic": "12",
    "nics": "12 1460 virtual vEthernet (Ethernet 2)\n4 1460 physical Ethernet 2\n14 1410 virtual vEthernet (nat)",
    "listening": "tcp 10250\ntcp 10256\ntcp 135\nudp 4789",
    "services": (
        "kubelet Running Auto C:\\k\\x.exe C:\\k\\kubelet.exe\nkube-proxy Running Auto C:\\k\\p.exe\n"
        "hybrid-overlay-node Running Auto C:\\k\\h.exe\n"
        'containerd Running Auto "C:\\k\\containerd\\containerd.exe" -x\n'
        "docker -"
    ),
}


def expected(name: str = "windows-1") -> Expected:
    return Expected(
        settings=HostSettings(name=name, role="windows", address="10.142.0.5", transport="winrm", nic="Ethernet 2"),
        cluster=ClusterSettings(
            name="test",
            pod_network=IPv4Network("10.244.0.0/16"),
            service_network=IPv4Network("10.100.0.0/16"),
            dns_address=IPv4Address("10.100.0.10"),
        ),
        release=load_release("current", SHIPPED),
        master=IPv4Address("10.142.0.2"),
    )


def judged(changes: dict[str, str | None], name: str = "windows-1") -> dict[str, Check]:
    """All checks of GOOD with some facts changed, or taken away, by id."""
    texts = {key: text for key, text in (GOOD | changes).items() if text is not None}
    return {check.id: check for check in judge_all(WINDOWS_RULES, HostFacts(texts), expected(name))}


def test_a_good_host_passes_every_check() -> None:
    """Bare, and when it is a node already whose address is on the overlay's switch."""
    for facts in ({}, NODE):
        assert {check.id: check.seen for check in judged(facts).values() if check.status is not Grade.OK} == {}
    assert tunnel_mtu(HostFacts(GOOD), expected().settings) == 1460


@pytest.mark.parametrize(
    ("check", "facts", "seen"),
    [
        ("os", {"os_build": "17763.5000"}, "17763.5000 (Microsoft Windows Server 2022 Standard)"),
        ("os", {"os_build": "20348.600"}, "20348.600"),
        ("edition", {"os_kind": "Client"}, "Client on amd64"),
        ("edition", {"architecture": "arm64"}, "Server Core on arm64"),
        ("powershell", {"powershell": "5.1.20348.1 ConstrainedLanguage"}, "5.1.20348.1 ConstrainedLanguage"),
        ("powershell", {"powershell": "7.4.1 FullLanguage"}, "7.4.1 FullLanguage"),
        ("cpus", {"cpus": "1"}, "1 CPUs"),
        ("memory", {"memory_mib": "2047"}, "2047 MiB"),
        ("disk", {"disk_free_mib": "C: 20479"}, "20479 MiB free on C:"),
        ("hostname", {"hostname": "sig-windows-worker"}, "sig-windows-worker (18 characters)"),
        ("hostname", {"hostname": "win_1"}, "win_1 (5 characters)"),
        ("clock", {"clock": "1800000090000000"}, "90.00 s ahead of this machine (to within 0.01 s)"),
        ("feature", {"features": "Containers DisabledWithPayloadRemoved"}, "Containers DisabledWithPayloadRemoved"),
        ("container-runtime", {"services": NONE.replace("docker -", "docker Stopped Manual x")}, "docker"),
        (
            "container-runtime",
            {"services": NONE.replace("containerd -", "containerd Running Auto C:\\Program Files\\c.exe")},
            "containerd (C:\\Program Files\\c.exe)",
        ),
        ("address", {"addresses": "4 10.142.0.6/20\n1 127.0.0.1/8"}, "10.142.0.6"),
        ("nic", {"nics": "4 1460 physical One\n5 1460 physical Two"}, "One, Two"),
        ("nic", {"nics": ""}, "none"),
        ("nic", {"default_nic": ""}, "Ethernet 2 without a default route"),
        ("mtu", {"nics": "4 1449 physical Ethernet"}, "1449"),
        ("port-in-use", {"listening": "tcp 10250\nudp 4789"}, "in use: tcp 10250, udp 4789"),
    ],
)
def test_what_is_not_as_wanted_fails(check: str, facts: dict[str, str], seen: str) -> None:
    """What was seen is said, and what to do about it."""
    found = judged(facts)[check]
    assert (found.status, found.seen) == (Grade.FAILED, seen)
    assert found.todo
    assert found.step().status is Status.FAILED


@pytest.mark.parametrize(
    ("check", "facts", "seen"),
    [
        ("hostname", {"hostname": "other"}, "other"),
        ("time-sync", {"time_synchronised": "no"}, "not synchronised"),
        ("pending-reboot", {"pending_reboot": "Windows Update asks for it (RebootRequired)"}, "Windows Update"),
    ],
)
def test_what_does_no_harm_is_a_note(check: str, facts: dict[str, str], seen: str) -> None:
    """Its step is ok, and says that it is a note only."""
    found = judged(facts)[check]
    assert found.status is Grade.NOTE
    assert found.seen.startswith(seen)
    assert "a note only" in found.step().message


def test_the_tunnels_port_is_the_clusters() -> None:
    """Another port is looked at where the cluster has another one."""
    other = expected()
    facts = HostFacts(GOOD | {"listening": "udp 9898"})
    assert next(check for check in judge_all(WINDOWS_RULES, facts, other) if check.id == "port-in-use").seen == "free"
    other = replace(other, cluster=other.cluster.model_copy(update={"vxlan_port": 9898}))
    found = next(check for check in judge_all(WINDOWS_RULES, facts, other) if check.id == "port-in-use")
    assert (found.status, found.seen) == (Grade.FAILED, "in use: udp 9898")


def test_an_old_build_says_which_update_to_install() -> None:
    """The first good revision is in the release."""
    assert judged({"os_build": "20348.1"})["os"].todo == "install updates, up to 20348.681 or later"


@pytest.mark.parametrize("fact", sorted(set(GOOD) - {"os_name", "default_gateway", "clock_earliest", "clock_latest"}))
def test_a_missing_fact_fails_the_checks_that_need_it(fact: str) -> None:
    """And it is never taken for well."""
    bad = [check for check in judged({fact: None}).values() if check.status is Grade.FAILED]
    assert bad
    assert all(re.search(rf"\b{fact}\b", check.seen) for check in bad)


@pytest.mark.parametrize("fact", ["os_build", "cpus", "disk_free_mib", "addresses", "nics", "services", "clock"])
def test_a_garbled_fact_fails_its_checks(fact: str) -> None:
    """Words that cannot be read are shown."""
    bad = [check for check in judged({fact: "nonsense"}).values() if check.status is Grade.FAILED]
    assert bad
    assert any("nonsense" in check.seen or "nothing for" in check.seen for check in bad)
