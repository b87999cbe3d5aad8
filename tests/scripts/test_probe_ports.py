"""listen, probe and unlisten for real, between two network namespaces."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from netns import Host, pair
from waiting import eventually

from plugins.scripts import quote

pytestmark = pytest.mark.root

PORTS = "tcp:6641 tcp:6642 udp:6081"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts on one link."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with pair(tmp_path) as both:
        yield both


def facts(host: Host, body: str, *, dry_run: bool = False) -> dict[str, str]:
    """The facts of a body that must go well."""
    ran = host.run(body, dry_run=dry_run)
    assert (set(ran.statuses), ran.status, ran.transcript.ended) == ({"ok"}, 0, True), ran
    return ran.transcript.facts


def probe(asker: Host, *targets: str) -> dict[str, str]:
    """Answers by target, without the token."""
    told = facts(asker, f"probe {asker.name} {' '.join(targets)}")
    return {name.removeprefix("probe "): answer for name, answer in told.items()}


def ports_of(host: Host) -> set[str]:
    """Ports that are bound on a host, as PROTO:PORT."""
    return {f"{line.split()[0]}:{line.split()[4].rpartition(':')[2]}" for line in host.holders().splitlines()}


def wait_until_free(host: Host, seconds: float) -> None:
    assert eventually(lambda: not ports_of(host), seconds), ports_of(host)


def test_what_the_answers_are(hosts: tuple[Host, Host]) -> None:
    """Open, refused, too big, wrong answer and unreachable are told apart, all in one go and at once."""
    a, b = hosts
    told = facts(a, f"listen t1 30 {PORTS}")
    assert told == {f"listen {port}": "listening" for port in PORTS.split()}
    began = time.monotonic()
    answers = probe(
        b,
        "tcp:10.99.0.1:6641:t1",
        "tcp:10.99.0.1:6642:other",
        "tcp:10.99.0.1:6643:t1",
        "udp:10.99.0.1:6081:t1",
        "udp:10.99.0.1:6081:t1:1500",
        "udp:10.99.0.1:6081:t1:1501",
        "udp:10.99.0.1:6082:t1",
        "tcp:127.0.0.1:6641",
    )
    assert answers == {
        "tcp:10.99.0.1:6641": "open",
        "tcp:10.99.0.1:6642": "wrong-answer",
        "tcp:10.99.0.1:6643": "refused",
        "udp:10.99.0.1:6081": "open",
        "udp:10.99.0.1:6081:1500": "open",
        "udp:10.99.0.1:6081:1501": "too-big",
        "udp:10.99.0.1:6082": "refused",
        "tcp:127.0.0.1:6641": "refused",
    }
    assert time.monotonic() - began < 3, "some port was waited for"


def test_a_smaller_mtu_on_the_way_is_found(hosts: tuple[Host, Host]) -> None:
    """The receiver's side takes 1400 bytes: a larger packet vanishes without a word, and is not divided."""
    a, b = hosts
    a.command("ip", "link", "set", "eth0", "mtu", "1400")
    facts(a, "listen t1 30 udp:6081")
    answers = probe(b, "udp:10.99.0.1:6081:t1", "udp:10.99.0.1:6081:t1:1400", "udp:10.99.0.1:6081:t1:1450")
    assert list(answers.values()) == ["open", "open", "timeout"]


def test_a_dead_neighbour_costs_three_seconds_for_all_ports(hosts: tuple[Host, Host]) -> None:
    """Ports of a host that is not there are waited for together."""
    a, b = hosts
    a.command("ip", "link", "set", "eth0", "address", "02:00:00:00:00:01")
    b.command("ip", "neigh", "replace", "10.99.0.1", "lladdr", "02:00:00:00:00:99", "dev", "eth0")
    began = time.monotonic()
    targets = [f"{proto}:10.99.0.1:{port}:t" for proto in ("tcp", "udp") for port in range(6641, 6661)]
    assert set(probe(b, *targets).values()) == {"timeout"}
    assert 3 <= time.monotonic() - began < 15, "they were waited for one after the other"


def test_a_firewall_that_drops_is_a_timeout(hosts: tuple[Host, Host]) -> None:
    """Without an answer and without a refusal; a token is no help."""
    a, b = hosts
    facts(a, "listen t1 30 tcp:6641")
    b.command("ip", "route", "add", "blackhole", "10.98.0.0/24")
    a.command("ip", "route", "del", "default")
    a.command("ip", "addr", "flush", "dev", "eth0")
    b.command("ip", "neigh", "replace", "10.99.0.1", "lladdr", "02:00:00:00:00:99", "dev", "eth0")
    assert probe(b, "tcp:10.99.0.1:6641:t1", "tcp:10.98.0.1:6641:t1") == {
        "tcp:10.99.0.1:6641": "timeout",
        "tcp:10.98.0.1:6641": "unreachable",
    }


def test_a_port_that_somebody_has_is_told_with_its_holder(hosts: tuple[Host, Host]) -> None:
    """It is left alone, and named by the process that has it; the others are listened on."""
    a, b = hosts
    holder = "my $s = IO::Socket::INET->new(Listen => 1, LocalPort => 6641) or die; $0 = q(ovsdb-server); sleep 20"
    command = ["ip", "netns", "exec", a.namespace, "perl", "-MIO::Socket::INET", "-e", holder]
    with subprocess.Popen(command) as process:
        assert eventually(lambda: "tcp:6641" in ports_of(a))
        assert facts(a, f"listen t1 30 {PORTS}") == {
            "listen tcp:6641": "in-use ovsdb-server",
            "listen tcp:6642": "listening",
            "listen udp:6081": "listening",
        }
        assert probe(b, "tcp:10.99.0.1:6641", "tcp:10.99.0.1:6642:t1") == {
            "tcp:10.99.0.1:6641": "open",
            "tcp:10.99.0.1:6642": "open",
        }
        process.kill()


def test_a_tunnel_of_the_kernel_s_is_told(hosts: tuple[Host, Host]) -> None:
    """A UDP port without a process is the kernel's."""
    a, _ = hosts
    for kind in (["geneve", "id", "1", "remote", "10.99.0.2"], ["vxlan", "id", "1", "dstport", "6081"]):
        a.command("ip", "link", "add", "tunnel0", "type", *kind)
    a.command("ip", "link", "set", "tunnel0", "up")
    if not a.command("ip", "link", "show", "tunnel0"):
        pytest.skip("this kernel has neither geneve nor vxlan")
    assert facts(a, "listen t1 5 udp:6081") == {"listen udp:6081": "in-use the kernel"}


def test_two_runs_share_the_listener(hosts: tuple[Host, Host]) -> None:
    """A second run's token is answered beside the first one's, and the end of one is not the other's."""
    a, b = hosts
    facts(a, "listen t1 30 tcp:6641 udp:6081")
    assert facts(a, "listen t2 30 tcp:6641 udp:6081 tcp:6642", dry_run=True)["listen tcp:6642"] == "listening"
    assert len(set(re.findall(r"pid=(\d+)", a.holders()))) == 1
    every = [f"{port}:{token}" for port in ("tcp:10.99.0.1:6641", "udp:10.99.0.1:6081") for token in ("t1", "t2")]
    assert set(probe(b, *every).values()) == {"open"}
    facts(a, "unlisten t1")
    assert probe(b, "tcp:10.99.0.1:6641:t1") == {"tcp:10.99.0.1:6641": "wrong-answer"}
    assert probe(b, "tcp:10.99.0.1:6641:t2") == {"tcp:10.99.0.1:6641": "open"}
    facts(a, "unlisten t2")
    wait_until_free(a, 1)


def test_unlisten_all_frees_the_ports_before_it_answers(hosts: tuple[Host, Host]) -> None:
    """What comes next in the script can have the ports; a second time there is nothing to do."""
    a, _ = hosts
    facts(a, f"listen t1 30 {PORTS}\nlisten t2 31 {PORTS}")
    sockets = [
        f"IO::Socket::INET->new({how})" for how in ("Listen => 1, LocalPort => 6641", "Proto => 17, LocalPort => 6081")
    ]
    guard = f"perl -MIO::Socket::INET -e {quote(f'exit !({sockets[0]} && {sockets[1]})')}"
    ran = a.run(f"unlisten all\nensure ports-can-be-had {quote(guard)} false")
    assert ran.statuses == ["ok", "ok"], ran
    assert ports_of(a) == set()
    assert a.run("unlisten all", prefix="rm /usr/bin/perl").statuses == ["ok"], "there is nobody to tell"


def test_it_ends_when_everybody_has_asked(hosts: tuple[Host, Host]) -> None:
    """With names, unlisten does not wait; the ports are free soon after the last of them has probed."""
    a, b = hosts
    facts(a, f"listen t1 60 {PORTS}")
    assert probe(b, "tcp:10.99.0.1:6641:t1")["tcp:10.99.0.1:6641"] == "open"
    began = time.monotonic()
    facts(a, "unlisten t1 b:tcp:6641 b:udp:6081 b:udp:6081:1500")
    assert time.monotonic() - began < 20, "it waited for who did not ask"
    assert probe(b, "udp:10.99.0.1:6081:t1")["udp:10.99.0.1:6081"] == "open"
    time.sleep(2.5)
    assert "udp:6081" in ports_of(a)
    assert probe(b, "udp:10.99.0.1:6081:t1:1500")["udp:10.99.0.1:6081:1500"] == "open"
    wait_until_free(a, 4)


def test_a_master_of_many_can_name_them_all(hosts: tuple[Host, Host]) -> None:
    """Five thousand expected probes fit into one call, and the last one still counts."""
    a, b = hosts
    facts(a, "listen t1 60 udp:6081")
    assert probe(b, "udp:10.99.0.1:6081:t1")["udp:10.99.0.1:6081"] == "open"
    names = " ".join(f"worker-{number}:udp:6081" for number in range(5000))
    facts(a, f"unlisten t1 {names}")
    time.sleep(2.5)
    assert ports_of(a) == {"udp:6081"}
    facts(a, "unlisten t1 b:udp:6081")
    wait_until_free(a, 4)


def test_it_ends_by_itself(hosts: tuple[Host, Host]) -> None:
    """After its seconds nothing is left of it, although nobody asked and nobody told it to end."""
    a, _ = hosts
    facts(a, f"listen t1 4 {PORTS}")
    assert len(ports_of(a)) == 3
    wait_until_free(a, 20)
    assert "ovn-runbooks" not in a.command("ss", "-Hlx")


def test_it_holds_nothing_of_its_script(hosts: tuple[Host, Host]) -> None:
    """The script's output ends at once, its lock is free, and the listener has no descriptor but its sockets."""
    a, _ = hosts
    began = time.monotonic()
    facts(a, f"listen t1 30 {PORTS}")
    assert time.monotonic() - began < 20  # the whole output was read to its end
    (pid,) = set(re.findall(r"pid=(\d+)", a.holders()))
    links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    assert {link.rpartition("/dev/")[2] for link in links if not link.startswith("socket:")} == {"null"}
    assert len(links) == 3 + 1 + len(PORTS.split())
    assert os.getsid(int(pid)) == int(pid)


def test_strangers_get_no_answer(hosts: tuple[Host, Host]) -> None:
    """A datagram without a known token is not answered, so the listener cannot be turned against others."""
    a, b = hosts
    facts(a, "listen t1 30 udp:6081 tcp:6641")
    ask = (
        "import socket,sys\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5)\n"
        "for question in (b'', b'hello', b'ovn-runbooks t9 b\\n', b'ovn-runbooks t1', b'\\xff' * 1400):\n"
        "    s.sendto(question, ('10.99.0.1', 6081))\n"
        "    try: print(s.recv(100))\n"
        "    except TimeoutError: pass\n"
        "many = [socket.create_connection(('10.99.0.1', 6641)) for _ in range(900)]\n"
        "many[-1].close()\n"
        "try: many[-2].sendall(b'x' * 100000)\n"
        "except OSError: pass\n"
        "print('done')"
    )
    assert b.command("python3", "-c", ask) == "done\n"
    assert probe(b, "tcp:10.99.0.1:6641:t1", "udp:10.99.0.1:6081:t1") == {
        "tcp:10.99.0.1:6641": "open",
        "udp:10.99.0.1:6081": "open",
    }


def test_only_root_can_tell_the_listener(hosts: tuple[Host, Host]) -> None:
    """Another user of the host can neither end it nor have it open ports."""
    a, _ = hosts
    facts(a, "listen t1 30 tcp:6641")
    ask = (
        "import os, socket\n"
        "os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('\\0ovn-runbooks-listener')\n"
        "try: s.sendall(b'unlisten all\\n'); print(s.recv(100))\n"
        "except OSError: print(b'')"
    )
    assert a.command("python3", "-c", ask) == "b''\n"
    assert ports_of(a) == {"tcp:6641"}


def test_another_user_s_listener_is_not_trusted(hosts: tuple[Host, Host]) -> None:
    """Who takes the listener's name first is found out, and the step fails rather than believe it."""
    a, _ = hosts
    squat = (
        "import os, socket, time\n"
        "os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.bind('\\0ovn-runbooks-listener'); s.listen(); time.sleep(20)"
    )
    with subprocess.Popen(["ip", "netns", "exec", a.namespace, "python3", "-c", squat]) as process:
        assert eventually(lambda: "ovn-runbooks" in a.command("ss", "-Hlx"))
        ran = a.run("listen t1 30 tcp:6641")
        process.kill()
    assert ran.statuses == ["failed"]
    assert "another user" in ran.steps[0].output


def test_an_address_that_is_none_fails_the_step(hosts: tuple[Host, Host]) -> None:
    """A mistake in a target is not taken for a closed port."""
    ran = hosts[1].run("probe b tcp:10.99.0.999:1:t1")
    assert ran.statuses == ["failed"]
    assert "10.99.0.999 is no address" in ran.steps[0].output


def test_the_twin_of_windows_asks_as_linux_does(hosts: tuple[Host, Host]) -> None:
    """What a simulated Windows host asks is what the listener of Linux understands, in small and in full size."""
    a, b = hosts
    facts(a, "listen t1 30 tcp:6443 udp:4789 tcp:6444")
    targets = [
        *("tcp:10.99.0.1:6443:t1", "tcp:10.99.0.1:6443", "tcp:10.99.0.1:6444:other", "tcp:10.99.0.1:6445:t1"),
        *("udp:10.99.0.1:4789:t1", "udp:10.99.0.1:4789:t1:1500", "udp:10.99.0.1:4789:t1:1501", "udp:10.99.0.1:4790:t1"),
    ]
    program = (
        "import sys; from plugins.simulate.verbs_probe import read_target; "
        "from plugins.simulate.windows.verbs_probe import ask; "
        "[print(ask('w', read_target(word)).decode()) for word in sys.argv[1:]]"
    )
    done = b.command(sys.executable, "-c", program, *targets)
    assert done.split() == ["open", "open", "wrong-answer", "refused", "open", "open", "too-big", "refused"]
    facts(a, "unlisten t1 w:tcp:6443 w:udp:4789 w:udp:4789:1500")
    wait_until_free(a, 4)
