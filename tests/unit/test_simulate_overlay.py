"""How simulated hosts see each other: ports, databases, chassis, packets; and what a boot leaves of a host."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from waiting import eventually

from plugins.checks.tables import rows
from plugins.connections import memory
from plugins.inventory.model import HostSettings
from plugins.scripts import assemble
from plugins.simulate.host import Timing
from plugins.simulate.in_memory import MemoryHosts
from plugins.steps import Transcript, parse_line

MARK = "@feedc0defeedc0de "
ADDRESSES = {"master-1": "10.142.0.2", "linux-1": "10.142.0.3", "linux-2": "10.142.0.4"}
TLS = "/etc/openvswitch/key /etc/openvswitch/cert /etc/openvswitch/ca"
BASE = """package openvswitch-switch ovn-host ovn-central
secret_file /etc/openvswitch/key 0600 root:root key
file /etc/openvswitch/cert 0644 root:root cert
file /etc/openvswitch/ca 0644 root:root {authority}
"""
CENTRAL = f"ovn_ssl nb {TLS}\novn_connection nb pssl:6641\novn_ssl sb {TLS}\novn_connection sb pssl:6642\n"
JOIN = f"""ovs_identity {{name}}
ovs_external_ids ovn-encap-ip={{address}} ovn-encap-type=geneve ovn-remote=ssl:10.142.0.2:6642
ovs_ssl {TLS}
await_connected 5
chassis {{name}} geneve {{address}} 5
"""
Run = Callable[..., Transcript]


@pytest.fixture
def hosts() -> Iterator[MemoryHosts]:
    """Fresh hosts."""
    with memory.simulated_hosts(timing=Timing(until_reboot=0.01, reboot=0.05, network_change=0.01)) as fresh:
        yield fresh


@pytest.fixture
def run(hosts: MemoryHosts) -> Run:  # noqa: ARG001  # the hosts must be there
    """Run a body on a host."""

    def run(name: str, body: str) -> Transcript:
        connection, transcript = memory.Memory(), Transcript()
        settings = HostSettings(name=name, role="linux", address=ADDRESSES[name], transport="memory")
        connection.open(None, None, None, None, None, {"settings": settings})
        script = assemble(body, marker=MARK, dry_run=False, wait=5, owner="test").encode()
        connection.connection.run(script, deadline=10, on_line=lambda raw: transcript.add(parse_line(raw, MARK)))
        connection.close()
        return transcript

    return run


def join(run: Run, name: str, authority: str = "ours") -> Transcript:
    """Make a host a chassis of the master's databases."""
    return run(name, BASE.format(authority=authority) + JOIN.format(name=name, address=ADDRESSES[name]))


def test_a_chassis_registers_and_can_be_seen(hosts: MemoryHosts, run: Run) -> None:
    """With a database that listens and one authority at both ends; the second time all is as it was."""
    assert run("master-1", BASE.format(authority="ours") + CENTRAL).failed is None
    assert join(run, "linux-1").failed is None
    assert {step.status.value for step in join(run, "linux-1").steps} == {"ok"}
    assert hosts.state("master-1")["chassis"] == {"linux-1": ["geneve", "10.142.0.3"]}
    facts = run("master-1", "inspect_chassis\n").facts
    assert facts["chassis"] == ('{"headings":["chassis_name","type","ip"],"data":[["linux-1","geneve","10.142.0.3"]]}')


def test_no_database_or_another_authority_keeps_a_chassis_out(run: Run) -> None:
    """The step that waits for the connection fails, and says what is in the way."""
    assert "Connection refused" in join(run, "linux-1").failed.message
    run("master-1", BASE.format(authority="ours") + CENTRAL)
    assert "certificate verify failed" in join(run, "linux-1", "theirs").failed.message
    assert join(run, "linux-1").failed is None


def test_a_row_of_a_former_life_is_taken_away(hosts: MemoryHosts, run: Run) -> None:
    """An address that another chassis claims keeps a host from registering until the row is gone."""
    run("master-1", BASE.format(authority="ours") + CENTRAL)
    join(run, "linux-1")
    said = run("linux-1", JOIN.format(name="reborn", address="10.142.0.3"))
    assert said.steps[-1].diff == "-chassis linux-1 at 10.142.0.3\n+chassis reborn at geneve 10.142.0.3\n"
    assert said.steps[-1].status == "changed"
    assert list(hosts.state("master-1")["chassis"]) == ["reborn"]


def test_the_bridge_of_the_nic_is_told_with_its_port(hosts: MemoryHosts, run: Run) -> None:
    """As Open vSwitch tells it: before the move there is neither, and of another NIC there is no port."""
    look = f"inspect_overlay '' ssl:10.142.0.2:6641 ssl:10.142.0.2:6642 {TLS} ovn-host\n"
    before = run("linux-1", f"{BASE.format(authority='ours')}ovs_bridge br-int\n{look}").facts
    assert (before["nic"], rows(before["uplinks"], "uplinks"), rows(before["port"], "port")) == ("eth0", [], [])
    run("linux-1", "nic_bridge '' system 10.142.0.3 90\n")
    assert eventually(lambda: hosts.state("linux-1")["network"] == "waiting")
    after = run("linux-1", look).facts
    (bridge,), (port,) = rows(after["uplinks"], "uplinks"), rows(after["port"], "port")
    assert (bridge, port["name"]) == ({"name": "breth0", "ports": port["_uuid"]}, "eth0")
    other = run("linux-1", look.replace("''", "eth1")).facts
    assert (other["nic"], other["uplinks"], rows(other["port"], "port")) == ("eth1", after["uplinks"], [])


def test_ports_answer_the_token_they_were_opened_for(hosts: MemoryHosts, run: Run) -> None:
    """Open with the token, wrong-answer where a service has the port, refused where nobody listens."""
    said = run("linux-1", "listen token 60 tcp:6641 udp:6081 tcp:22\n")
    assert said.facts == {
        "listen tcp:6641": "listening",
        "listen udp:6081": "listening",
        "listen tcp:22": "in-use sshd",
    }
    targets = (
        "tcp:10.142.0.3:6641:token udp:10.142.0.3:6081:token:1500 tcp:10.142.0.3:6641:other tcp:10.142.0.3:22:token"
    )
    seen = run(
        "linux-2", f"probe linux-2 {targets} tcp:10.142.0.3:80 tcp:10.142.9.9:80 udp:10.142.0.3:6081:token:9000\n"
    ).facts
    assert list(seen.values()) == ["wrong-answer", "open", "wrong-answer", "refused", "unreachable", "too-big"]
    assert seen["probe udp:10.142.0.3:6081:1500"] == "open"
    hosts.add_fault("linux-1:firewall:port=6641")
    assert run("linux-2", "probe linux-2 tcp:10.142.0.3:6641:token\n").facts["probe tcp:10.142.0.3:6641"] == "timeout"
    run("linux-1", "unlisten all\n")
    assert run("linux-2", "probe linux-2 udp:10.142.0.3:6081:token\n").facts["probe udp:10.142.0.3:6081"] == "refused"


def test_a_listener_ends_when_all_that_were_expected_have_asked(run: Run) -> None:
    """As on a host: nobody waits there for the last one."""
    run("linux-1", "listen token 60 tcp:6641\nunlisten token linux-2:tcp:6641 master-1:tcp:6641\n")
    for name in ("linux-2", "master-1"):
        seen = run(name, f"probe {name} tcp:10.142.0.3:6641:token\n").facts
        assert seen["probe tcp:10.142.0.3:6641"] == "open"
    assert run("linux-2", "probe linux-2 tcp:10.142.0.3:6641:token\n").facts["probe tcp:10.142.0.3:6641"] == "refused"


def test_a_boot_keeps_what_is_meant_to_last(hosts: MemoryHosts, run: Run) -> None:
    """Modules of the file, enabled services, databases and files; /run and an unconfirmed network are gone."""
    body = (
        "kernel_module geneve\nservice ovn-host disabled\nfile /run/x 0644 root:root x\nfile /etc/x 0644 root:root x\n"
    )
    run("linux-1", BASE.format(authority="ours") + body + "ovs_bridge br-int\nnic_bridge '' system 10.142.0.3 90\n")
    assert eventually(lambda: hosts.state("linux-1")["network"] == "waiting")
    boot = hosts.state("linux-1")["boot_id"]
    assert hosts.state("linux-1")["address_at"] == "breth0"
    run("linux-1", f"reboot_now {boot}\n")
    assert eventually(lambda: hosts.state("linux-1")["boot_id"] != boot)
    state = hosts.state("linux-1")
    assert state["modules"] == ["geneve"]
    assert (state["units"]["openvswitch-switch"]["active"], state["units"]["ovn-host"]["active"]) == (True, False)
    assert "/etc/x" in state["files"]["entries"]
    assert "/run/x" not in state["files"]["entries"]
    assert (state["address_at"], "Bridge breth0" in state["ovs"], "Bridge br-int" in state["ovs"]) == (
        "eth0",
        False,
        True,
    )
