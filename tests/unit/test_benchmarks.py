"""The benchmark compares like with like, reads its own numbers rightly, and takes away what it started."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks.forty_looks import conf, pem, unit
from benchmarks.local_hosts import SSHD, check_machine, local_hosts
from benchmarks.measure import LOOKS, MINIMAL, Seconds
from benchmarks.rerun import SCHEMA_VERSION, Machine, arguments, document, table
from plugins.errors import UsageError
from plugins.scripts import Call, assemble, calls, environment

BODY = Path("benchmarks/forty_looks.sh.j2")
HOME = "/run/benchmark/"
MEASURED = Seconds(hosts=3, process=[0.9, 0.5, 0.6], run=[0.2, 0.1, 0.4], ssh=[0.3, 0.4, 0.2])
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces of its own")
needs_sshd = pytest.mark.skipif(not Path(SSHD).exists(), reason="needs openssh-server")


def body() -> str:
    text = (Path(__file__).parents[2] / BODY).read_text(encoding="utf-8")
    return environment("current").from_string(text).render(conf=conf, unit=unit, pem=pem)


def looks(verb: str) -> list[Call]:
    return [call for call in calls(body()) if call.verb == verb]


def test_both_sides_make_as_many_looks() -> None:
    """The task has as many steps as the table says, and the script by hand counts as many looks."""
    assert len(calls(body())) == LOOKS
    counts = re.findall(r"^same (\d+) ", MINIMAL.read_text(encoding="utf-8"), re.MULTILINE)
    absent = len(looks("absent"))  # counted one by one in a loop
    assert sum(map(int, counts)) + absent == LOOKS


def test_both_sides_want_the_same_content() -> None:
    """Every file of the task stands in the script by hand with the checksum of its content."""
    listed = set(re.findall(r"^([0-9a-f]{64})  (\S+)$", MINIMAL.read_text(encoding="utf-8"), re.MULTILINE))
    files = [*looks("file"), *looks("secret_file")]
    wanted = {(sha256(call.arguments[3].encode()).hexdigest(), call.arguments[0].removeprefix(HOME)) for call in files}
    assert listed == wanted


def in_own_run(script: str) -> subprocess.CompletedProcess[str]:
    """Prepare the files with the task's own script, then run `script`, under a /run of its own."""
    files = re.sub(r"^package .*\n", "", body(), flags=re.MULTILINE)  # nothing to prepare there
    prepare = assemble(files, marker="@feedc0de ", dry_run=False, wait=5, owner="test")
    inside = f"mount -t tmpfs benchmark /run\n({prepare}) >/run/said 2>&1 || exec cat /run/said\n{script}"
    return subprocess.run(
        ["unshare", "--mount", "bash", "-s"], input=inside, capture_output=True, text=True, timeout=60, check=False
    )


@needs_root
@needs_sshd
def test_the_script_by_hand_agrees_with_the_task() -> None:
    """What the task has made as it wants it is as the script by hand wants it, packages included."""
    done = in_own_run(MINIMAL.read_text(encoding="utf-8"))
    assert (done.stdout, done.returncode) == (f"{LOOKS} looks\n", 0), done.stderr


@needs_root
@needs_sshd
@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        ("chmod 0640 etc/conf.d/dns.conf", "kind, mode and owner"),
        ("chown 1:1 lib/state", "kind, mode and owner"),
        ("rm etc/units/agent.service", "kind, mode and owner"),
        ("echo >>etc/tls/key.pem", "content"),
        ("ln -sfn /nowhere bin/proxy", "links"),
        ("sed -i /linux-2/d etc/hosts", "lines of hosts"),
        ("sed -i /geneve/d etc/modules", "lines of modules"),
        ("touch lib/old", "lib/old"),
    ],
)
def test_the_script_by_hand_really_looks(spoil: str, what: str) -> None:
    """Whatever is spoilt is named, so the comparison is with looks that were made."""
    done = in_own_run(f"(cd {HOME} && {spoil}) || exit 9\n{MINIMAL.read_text(encoding='utf-8')}")
    assert f"differs: {what}\n" in done.stdout
    assert done.returncode == 1


def test_ratios_are_of_medians() -> None:
    """One slow measurement does not move the result."""
    assert MEASURED.ratio(MEASURED.process) == pytest.approx(2.0)
    assert MEASURED.ratio(MEASURED.run) == pytest.approx(0.2 / 0.3)


def test_the_table_shows_medians_spread_and_ratios() -> None:
    """One line for each number of hosts, in milliseconds."""
    head, line = table([MEASURED]).splitlines()
    assert head.split()[0] == "hosts"
    assert re.split(r"\s{2,}", line.strip()) == [
        "3",
        "600 ms (500-900)",
        "200 ms (100-400)",
        "300 ms (200-400)",
        "2.00",
        "0.67",
    ]


def test_the_document_has_every_measurement() -> None:
    """The JSON is versioned and holds what the table was made of."""
    machine = Machine(cores=2, load=0.5, kernel="6.1", python="3.11.7", openssh="OpenSSH_9.2p1")
    made = document(machine, 3, [MEASURED])
    assert (made["version"], made["looks"], made["machine"]["cores"]) == (SCHEMA_VERSION, LOOKS, 2)
    assert made["results"][0]["ssh"] == MEASURED.ssh
    assert made["results"][0]["ratio_process"] == pytest.approx(2.0)


def test_several_numbers_of_hosts_are_taken() -> None:
    """`--hosts 3 10` measures both; both are the default."""
    assert arguments(["--hosts", "1", "5", "--repeat", "2"]).hosts == [1, 5]
    assert arguments([]).hosts == [3, 10]


@pytest.mark.parametrize("words", [["--hosts", "0"], ["--hosts", "many"], ["--repeat", "0"]])
def test_what_cannot_be_measured_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2 and the option's name."""
    with pytest.raises(SystemExit) as end:
        arguments(words)
    assert end.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_without_root_nothing_is_started() -> None:
    """The refusal says what it needs root for."""
    real = os.geteuid()
    try:
        if real == 0:
            os.seteuid(65534)
        with pytest.raises(UsageError, match="root"):
            check_machine()
    finally:
        os.seteuid(real)


@needs_root
@needs_sshd
def test_hosts_have_a_run_of_their_own_and_go_away(tmp_path: Path) -> None:
    """Real logins with checked host keys; what one host writes below /run no other sees; nothing stays behind."""
    with local_hosts(tmp_path, 2) as hosts:
        first, second = hosts
        assert subprocess.run(first.ssh("touch /run/mark"), timeout=30, check=False).returncode == 0
        looked = subprocess.run(second.ssh("ls /run/mark"), capture_output=True, timeout=30, check=False)
        assert looked.returncode == 2
        running = subprocess.Popen(second.ssh("echo up; sleep 60"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
    assert not Path("/run/mark").exists()
    assert running.wait(timeout=10) != 0
    running.stdout.close()
    for host in hosts:
        with pytest.raises(ConnectionRefusedError), socket.create_connection((host.address, host.port), timeout=5):
            pass
