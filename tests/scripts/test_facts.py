"""gather for real: on this machine's own root, twice, against what other tools say, and writing nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from netns import Host, Ran, pair

from plugins.checks.facts import HostFacts
from plugins.scripts import quote, render

pytestmark = pytest.mark.root

PACKAGES = ("bash", "coreutils")
EVERYTHING = """
gather os_id os_version os_name kernel architecture systemd machine_id boot_id hostname cpus memory_mib disk_free_mib \
inodes_free time_synchronised addresses default_nic default_gateway nics listening tun_device system_id ovn_remote \
ovn_encap_ip packages_unfinished package_lock clock
""".replace("\\\n", "")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts on one link."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces and overlays need root")
    with pair(tmp_path) as both:
        yield both


@pytest.fixture
def host(hosts: tuple[Host, Host]) -> Host:
    """The first of them."""
    return hosts[0]


def preflight(packages: tuple[str, ...] = PACKAGES) -> str:
    """The body of check_host, as its task renders it."""
    return render(
        "linux/check_host.sh.j2",
        "current",
        {
            "tools": ("flock", "timeout", "perl", "ip", "no-such-tool"),
            "modules": ("openvswitch", "no_such_module"),
            "packages": packages,
            "ports": ("tcp:6641", "udp:6081"),
            "kubernetes": True,
            "rivals": ("no-such-package",),
            "token": "c0ffee",
            "seconds": 1,
        },
    )


def background(program: str) -> str:
    """A command line that runs a Perl program beside the script, which says when it is ready."""
    ready = "open(my $r, q(>), q(/tmp/ready)) or die; close $r; sleep 60"
    perl = f"perl -MFcntl -MIO::Socket::INET -e {quote(f'{program}; {ready}')}"
    return f"{perl} >/dev/null 2>&1 & for n in {{1..200}}; do [[ ! -e /tmp/ready ]] || break; sleep 0.1; done"


def facts(ran: Ran) -> HostFacts:
    """Its facts, of a script that came to its end."""
    assert (ran.statuses[-1:], ran.status, ran.transcript.ended) == (["ok"], 0, True), ran
    return HostFacts(ran.transcript.facts)


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_preflight_script_runs_twice_alike_and_writes_nothing(host: Host, dry_run: bool) -> None:
    """But for the clock and what is free on the disk, the second run tells the same; only the lock's folder is made."""
    runs = []
    for _ in range(2):
        ran = host.run(preflight(), dry_run=dry_run)
        assert [step.name for step in ran.steps] == ["gather facts", "listen 1 s"]
        assert {name for name in ran.written if not name.startswith("ovn-runbooks")} == set()
        assert bool(ran.written) is not dry_run
        runs.append(dict(facts(ran).texts))
        time.sleep(1.2)  # until the listener has ended
    changing = {"clock", "disk_free_mib", "inodes_free"}
    assert runs[0].keys() == runs[1].keys() >= changing
    assert {name: text for name, text in runs[0].items() if name not in changing} == {
        name: text for name, text in runs[1].items() if name not in changing
    }
    assert runs[0]["listen tcp:6641"] == runs[1]["listen tcp:6641"] == "listening"


def test_facts_agree_with_other_tools(host: Host) -> None:
    """Each is read without its usual tool, and says what that tool says."""
    before = time.time()
    told = facts(host.run(EVERYTHING))
    release = platform.freedesktop_os_release()
    assert told.text("os_id") == release["ID"]
    assert told.texts.get("os_version", "") == release.get("VERSION_ID", "")
    assert told.text("os_name") == release["PRETTY_NAME"]
    assert told.text("kernel") == platform.release()
    assert told.text("hostname") == platform.node()
    dpkg = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    assert told.text("architecture") == dpkg.stdout.strip()
    assert told.text("boot_id") == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert told.number("cpus") == len(os.sched_getaffinity(0))
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert told.number("memory_mib") == pytest.approx(total, abs=1)
    assert set(told.numbers("disk_free_mib")) == {"/", "/var"}
    assert set(told.numbers("inodes_free")) <= {"/", "/var"}
    assert before <= told.number("clock") / 1e6 <= time.time()
    assert told.text("time_synchronised") in {"yes", "no"}


def test_the_network_is_told_as_it_is(host: Host) -> None:
    """Addresses, the default route with the lowest metric, every NIC with its MTU, and who listens."""
    host.command("ip", "link", "set", "eth0", "mtu", "1460")
    host.command("ip", "link", "add", "br7", "type", "bridge")
    host.command("ip", "addr", "add", "10.99.7.1/30", "dev", "br7")
    host.command("ip", "link", "set", "br7", "up")
    host.command("ip", "route", "del", "default")
    host.command("ip", "route", "add", "default", "via", "10.99.0.2", "metric", "50")
    host.command("ip", "route", "add", "default", "via", "10.99.7.2", "metric", "10")
    host.command("ip", "route", "add", "unreachable", "default", "metric", "5")
    listener = background(
        "my @s = (IO::Socket::INET->new(Listen => 1, LocalPort => 4242), "
        "IO::Socket::INET->new(Proto => q(udp), LocalPort => 4343))"
    )
    told = facts(host.run(EVERYTHING, prefix=listener))
    assert [(nic, str(address)) for nic, address in told.addresses] == [
        ("lo", "127.0.0.1"),
        ("eth0", "10.99.0.1"),
        ("br7", "10.99.7.1"),
    ]
    assert (told.text("default_nic"), told.text("default_gateway")) == ("br7", "10.99.7.2")
    assert {nic.name: nic.mtu for nic in told.nics.values()} == {"lo": 65536, "eth0": 1460, "br7": 1500}
    assert told.may_be_empty("listening").splitlines() == ["tcp 4242", "udp 4343"]


def test_without_a_default_route_there_is_no_default_nic(host: Host) -> None:
    """The facts are there and empty, which is an answer."""
    host.command("ip", "route", "del", "default")
    told = facts(host.run("gather default_nic default_gateway"))
    assert (told.may_be_empty("default_nic"), told.may_be_empty("default_gateway")) == ("", "")


@pytest.mark.parametrize(
    ("files", "manager"),
    [
        ("mkdir -p /run/systemd/netif/links; echo NETWORK_FILE=/x.network >/run/systemd/netif/links/$I", "networkd"),
        ("mkdir -p /run/systemd/netif/links; echo ADMIN_STATE=unmanaged >/run/systemd/netif/links/$I", "none"),
        (
            "mkdir -p /run/NetworkManager/devices; printf '[device]\\nmanaged=true\\n' >/run/NetworkManager/devices/$I",
            "NetworkManager",
        ),
        ("mkdir -p /run/network; printf 'lo=lo\\neth0=eth0\\n' >/run/network/ifstate", "ifupdown"),
        (":", "none"),
    ],
)
def test_who_manages_the_nic(host: Host, files: str, manager: str) -> None:
    """By the files that systemd-networkd, NetworkManager and ifupdown keep below /run."""
    told = facts(host.run("gather nics", prefix=f"read -r I </sys/class/net/eth0/ifindex; {files}"))
    assert told.nics["eth0"].manager == manager


def test_packages_and_tools(host: Host) -> None:
    """Installed with its version, in the lists, or missing; a version that is asked for counts."""
    version = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "bash"], capture_output=True, text=True, check=True)
    told = facts(host.run("gather 'packages=bash bash=0.* no-such-package' 'tools=perl no-such-tool' modules=no_such"))
    states = list(told.lines("packages", 3))
    assert states[0] == ("bash", "installed", version.stdout)
    assert states[1:] == [("bash", "missing", "-"), ("no-such-package", "missing", "-")]
    assert told.pairs("tools")["perl"].endswith("/perl")
    assert told.pairs("tools")["no-such-tool"] == "-"
    assert told.pairs("modules") == {"no_such": "missing"}


def test_what_dpkg_left_half_done(host: Host) -> None:
    """States between installed and gone, and packages to be installed again, are told; others are not."""
    unfinished = (
        "s/(Package: bash\\nEssential: yes\\nStatus: install ok) installed/$1 half-configured/;"
        "s/(Package: coreutils\\nEssential: yes\\nStatus: install) ok installed/$1 reinstreq half-installed/"
    )
    status = f"perl -0pi -e {quote(unfinished)} /var/lib/dpkg/status"
    told = facts(host.run("gather packages_unfinished packages=bash", prefix=status))
    assert [(state, name) for state, name, _ in told.lines("packages_unfinished", 3)] == [
        ("iF", "bash"),
        ("iHR", "coreutils"),
    ]
    assert [state for _, state, _ in told.lines("packages", 3)] != ["installed"]


def test_who_holds_the_package_lock(host: Host) -> None:
    """A process of apt's name that has the lock is named; without one the fact is empty."""
    # struct flock of x86_64 and arm64: type, whence, start, length, pid.
    holder = background(
        "$0 = q(apt-get); open(my $f, q(+>), q(/var/lib/dpkg/lock-frontend)) or die;"
        "my $lock = pack(q(s s x4 q q l x4), F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $lock) or die"
    )
    told = facts(host.run("gather package_lock", prefix=holder))
    assert told.text("package_lock").split()[1] == "apt-get"
    assert facts(host.run("gather package_lock")).may_be_empty("package_lock") == ""


def test_sources_that_cannot_be_reached(host: Host) -> None:
    """Asked for only where a package is not in the lists: each source once, with the reason in words."""
    sources = (
        "rm -rf /etc/apt/sources.list.d /etc/apt/sources.list /etc/apt/apt.conf.d;"
        " printf 'deb http://127.0.0.1:9/debian x main\\ndeb http://127.0.0.1:9/other x main\\n"
        "deb https://10.99.0.77/d x main\\n' >/etc/apt/sources.list"
    )
    ran = host.run("gather 'package_source=no-such-package bash'", prefix=sources)
    lines = sorted(facts(ran).text("package_source").splitlines())
    assert lines[0] == "http://127.0.0.1:9 unreachable 127.0.0.1 port 9: connect: Connection refused"
    assert lines[1].startswith("https://10.99.0.77 unreachable 10.99.0.77 port 443: ")
    assert len(lines) == 2
    assert [name for name in ran.written if not name.startswith("ovn-runbooks")] == []
    assert facts(host.run("gather package_source=bash", prefix=sources)).texts["package_source"] == ""


def test_sources_behind_a_proxy(host: Host) -> None:
    """What is connected to is the proxy that apt is told of."""
    prefix = (
        "rm -rf /etc/apt/sources.list.d /etc/apt/apt.conf.d; mkdir /etc/apt/apt.conf.d;"
        " echo 'deb http://mirror.invalid/debian x main' >/etc/apt/sources.list;"
        " echo 'Acquire::http::Proxy \"http://127.0.0.1:3128/\";' >/etc/apt/apt.conf.d/proxy;"
        + background("my $s = IO::Socket::INET->new(Listen => 1, LocalPort => 3128)")
    )
    told = facts(host.run("gather package_source=no-such-package", prefix=prefix))
    assert told.text("package_source") == "http://mirror.invalid reachable"


def test_a_machine_id_that_is_not_there_is_left_out(host: Host) -> None:
    """A fact that cannot be told has no line, and the step goes on."""
    ran = host.run("gather machine_id boot_id hostname", prefix="rm -f /etc/machine-id")
    assert set(facts(ran).texts) == {"boot_id", "hostname"}


def test_an_unknown_fact_is_a_mistake(host: Host) -> None:
    """The step fails and names it."""
    ran = host.run("gather no_such_fact")
    assert (ran.statuses, ran.status) == (["failed"], 1)
    assert ran.steps[0].message == "there is no fact no_such_fact"
