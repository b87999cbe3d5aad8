"""What goes wrong with an overlay that was fine: verify sees it and names it, and the stage that it names mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from operating import Cluster, Ran

from plugins.overlay import CERTIFICATE

pytestmark = pytest.mark.lab

HOST = "linux-1"
SERIAL = "openssl x509 -noout -serial"


@pytest.fixture
def overlay(cluster: Cluster) -> Cluster:
    """The lab's cluster with an overlay."""
    cluster.overlay()
    return cluster


def problems(ran: Ran, name: str) -> dict[str, str]:
    """The failed checks of a host, and what was seen."""
    steps = ran.steps(name, "verify").items()
    return {step: each["message"] for step, each in steps if each["status"] == "failed"}


def mends(cluster: Cluster, stage: str, host: str, *, step: str) -> None:
    """One stage again on one host changes this step and nothing else fails; verify is content after it."""
    ran = cluster.run("task", stage, "--host", host)
    assert (ran.status, ran.steps(host, stage)[step]["status"]) == (0, "changed"), ran.text
    verified = cluster.run("verify")
    assert (verified.status, verified.count("failed")) == (0, 0), verified.text


def address(cluster: Cluster, name: str) -> str:
    """A host's own address."""
    return next(str(host.address) for host in cluster.lab.hosts if host.name == name)


def test_a_chassis_of_a_former_life_is_removed(overlay: Cluster) -> None:
    """A row that claims a host's address keeps it from registering: verify says so on both sides, join removes it."""
    identity = overlay.shell(HOST, "cat /etc/openvswitch/system-id.conf")
    overlay.shell(HOST, "systemctl stop ovn-controller")  # which takes its own row away
    overlay.shell("master", f"ovn-sbctl chassis-add former-life geneve {address(overlay, HOST)}")
    overlay.shell(HOST, "systemctl start ovn-controller; sleep 1")
    assert overlay.shell("master", f"ovn-sbctl --bare --columns=name list Chassis {identity}") == ""
    ran = overlay.run("verify")
    assert ran.status == 1, ran.text
    assert any("no such chassis" in seen for seen in problems(ran, HOST).values()), ran.text
    assert "former-life" in ran.text
    mends(overlay, "join", HOST, step="chassis registered")
    assert "former-life" not in overlay.shell("master", "ovn-sbctl show")


def test_a_host_that_forgot_its_name_gets_it_back(overlay: Cluster) -> None:
    """Another system id in Open vSwitch and in its file: the bridge stage puts the cluster's own back, in both."""
    identity = overlay.shell(HOST, "cat /etc/openvswitch/system-id.conf")
    overlay.shell(HOST, "echo stranger >/etc/openvswitch/system-id.conf; systemctl restart openvswitch-switch")
    ran = overlay.run("verify")
    assert ran.status == 1, ran.text
    assert any("system-id=stranger" in seen for seen in problems(ran, HOST).values()), ran.text
    mends(overlay, "bridge", HOST, step="system id")
    assert overlay.shell(HOST, "cat /etc/openvswitch/system-id.conf") == identity
    assert "stranger" not in overlay.shell("master", "ovn-sbctl show")


@pytest.fixture
def without_tso(overlay: Cluster) -> Iterator[Callable[[str], None]]:
    """A host that lost a setting which needs a start; call it with shell text to run before every ovs-vsctl there."""
    wrapper = "/usr/local/bin/ovs-vsctl"
    overlay.shell(HOST, "ovs-vsctl --no-wait remove Open_vSwitch . other_config userspace-tso-enable")

    def before(text: str) -> None:
        script = f'#!/bin/bash\n{text}\nexec /usr/bin/ovs-vsctl "$@"\n'
        overlay.shell(HOST, f"cat >{wrapper} <<'END'\n{script}END\nchmod 755 {wrapper}")

    yield before
    overlay.shell(HOST, f"rm -f {wrapper}")


def test_a_setting_that_needs_a_start_is_made_on_a_slow_host(
    overlay: Cluster, without_tso: Callable[[str], None]
) -> None:
    """The database ends with the switch; a client that comes late finds it there all the same."""
    without_tso("sleep 1")
    mends(overlay, "bridge", HOST, step="userspace tso")
    assert overlay.shell(HOST, "ovs-vsctl get Open_vSwitch . other_config:userspace-tso-enable") == '"true"'


def test_a_switch_that_could_not_be_set_runs_again(overlay: Cluster, without_tso: Callable[[str], None]) -> None:
    """The host's own words are told, over the very bridge that was down for it; the same stage makes it whole."""
    without_tso("if [[ $* == *userspace-tso-enable=true* ]]; then echo no space left >&2; exit 1; fi")
    ran = overlay.run("task", "bridge", "--host", HOST)
    assert ran.status == 1, ran.text
    assert ran.steps(HOST, "bridge")["userspace tso"]["status"] == "failed"
    assert "no space left" in ran.text
    without_tso("")
    mends(overlay, "bridge", HOST, step="userspace tso")


@pytest.mark.parametrize(
    ("host", "stage", "daemon"), [("master", "central", "ovn-northd"), (HOST, "join", "ovn-controller")]
)
def test_a_daemon_that_is_down_is_seen(overlay: Cluster, host: str, stage: str, daemon: str) -> None:
    """The service that has started it stays active, so it is looked at by itself; its stage starts it again."""
    overlay.shell(host, f"systemctl stop {daemon}")
    ran = overlay.run("verify")
    assert ran.status == 1, ran.text
    assert any(f"{daemon} inactive" in seen for seen in problems(ran, host).values()), ran.text
    mends(overlay, stage, host, step=f"service {daemon} running")


def test_a_database_without_tls_is_seen(overlay: Cluster) -> None:
    """Opened to everybody by hand: every host's verify fails, and the central stage shuts it again."""
    overlay.shell("master", "ovn-sbctl set-connection ptcp:6642")
    ran = overlay.run("verify")
    assert (ran.status, set(ran.hosts.values())) == (1, {"failed"}), ran.text
    mends(overlay, "central", "master", step="ovn sb connection")
    assert "pssl:6642:" in overlay.shell("master", "ovn-sbctl get-connection")


def test_a_new_certificate_is_taken_up_without_a_restart(overlay: Cluster) -> None:
    """Issued anew and put in place: the databases show it at once, and their processes are the same as before."""
    processes = overlay.shell("master", "pidof ovsdb-server ovn-northd ovn-controller")
    (overlay.state / "lab/pki/leaves/ovn/master.pem").unlink()
    ran = overlay.run("task", "certificates", "--host", "master")
    assert (ran.status, ran.host("master")) == (0, "changed"), ran.text
    there = overlay.shell("master", f"{SERIAL} -in {CERTIFICATE}")
    for port in (6641, 6642):
        connect = f"openssl s_client -connect {address(overlay, 'master')}:{port} </dev/null 2>/dev/null | {SERIAL}"
        assert overlay.shell(HOST, connect) == there
    assert overlay.shell("master", "pidof ovsdb-server ovn-northd ovn-controller") == processes
    assert overlay.run("verify").status == 0
