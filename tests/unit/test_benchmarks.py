"""The benchmark compares like with like, reads its own numbers rightly, and takes away what it started."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from xml.dom.minidom import parseString

import pytest
import yaml

from benchmarks.forty_looks import conf, pem, unit
from benchmarks.local_hosts import SSHD, check_machine, local_hosts
from benchmarks.looks import LOOKS, forty, playbook, write_deploy
from benchmarks.measure import MINIMAL
from benchmarks.plot import bars
from benchmarks.report import SCHEMA_VERSION, Machine, aligned, document, spread
from benchmarks.rerun import arguments, table
from benchmarks.turns import PLAIN, Turns, in_turns
from plugins.errors import UsageError
from plugins.scripts import Call, assemble, calls, environment

BODY = Path("benchmarks/forty_looks.sh.j2")
HOME = "/run/benchmark/"
MEASURED = Turns(3, {"ours": [0.9, 0.5, 0.6], "plain ssh": [0.3, 0.4, 0.2], "Ansible": [61.0, 60.0, 70.0]})
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


def test_others_make_the_same_looks(tmp_path: Path) -> None:
    """The playbook has a task and the deploy a look for each of ours, with the same paths and contents."""
    [play] = yaml.safe_load(playbook())
    assert [task["name"].split()[0] for task in play["tasks"]] == [call.verb for call in forty()]
    contents = [list(task.values())[1].get("content") for task in play["tasks"] if "ansible.builtin.copy" in task]
    assert contents == [call.arguments[3] for call in forty() if call.verb in {"file", "secret_file"}]
    assert write_deploy(tmp_path) == LOOKS - len(looks("ensure"))
    assert json.loads((tmp_path / "looks.json").read_text()) == [[c.verb, list(c.arguments)] for c in forty()]
    compile((tmp_path / "deploy.py").read_text(), "deploy.py", "exec")


def test_sides_are_measured_in_turns(capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other and again, the first time uncounted; how long it will take is said on standard error."""
    asked: list[str] = []

    def side(name: str) -> Callable[[], float]:
        return lambda: asked.append(name) or float(len(asked))

    turns = in_turns(3, {"a": side("a"), "b": side("b")}, 2, {})
    assert "".join(asked) == "ababab"
    assert turns == Turns(3, {"a": [3.0, 5.0], "b": [4.0, 6.0]})
    assert "turn 2 of 2" in capsys.readouterr().err


def test_a_slow_side_is_measured_in_fewer_turns() -> None:
    """It takes part in the first ones that count, and its own number of measurements stands in the table."""
    slow = iter([60.0, 61.0])
    turns = in_turns(3, {"ours": lambda: 1.0, PLAIN: lambda: 1.0, "Ansible": lambda: next(slow)}, 3, {"Ansible": 2})
    assert {name: len(seconds) for name, seconds in turns.seconds.items()} == {"ours": 3, PLAIN: 3, "Ansible": 2}
    assert [re.split(r"\s{2,}", line)[-3] for line in table([turns]).splitlines()[1:]] == ["3", "3", "2"]


@pytest.mark.parametrize("words", ["ansible", "ansible=0", "ansible=x", "puppet=3"])
def test_rounds_of_no_known_tool_are_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--rounds NAME=N` takes a tool's name and a number."""
    assert arguments(["--rounds", "ansible=2"]).rounds == [("Ansible", 2)]
    with pytest.raises(SystemExit):
        arguments(["--rounds", words])
    assert f"{words}: write NAME=N" in capsys.readouterr().err


def test_ratios_are_of_medians() -> None:
    """One slow measurement does not move the result."""
    assert MEASURED.ratio("ours") == pytest.approx(2.0)
    assert MEASURED.ratio("Ansible", "ours") == pytest.approx(61 / 0.6)


def test_the_table_shows_medians_spread_and_ratios() -> None:
    """One line for each number of hosts and side, in milliseconds or seconds."""
    _, ours, _, ansible = table([MEASURED]).splitlines()
    assert re.split(r"\s{2,}", ours.strip()) == ["3", "ours", "3", "600 ms (500-900)", "2.00"]
    assert re.split(r"\s{2,}", ansible.strip()) == ["3", "Ansible", "3", "61.0 s (60.0-70.0)", "203.33"]
    assert spread([12.345]) == "12.3 s (12.3-12.3)"
    assert aligned([("a", "bc"), ("def", "g")]) == "  a  bc\ndef   g"


def test_the_document_has_every_measurement() -> None:
    """The JSON is versioned and holds what the table was made of."""
    machine = Machine(cores=2, load=0.5, kernel="6.1", python="3.11.7", openssh="OpenSSH_9.2p1")
    made = document("rerun", machine, [MEASURED], looks=LOOKS)
    assert (made["version"], made["looks"], made["machine"]["cores"]) == (SCHEMA_VERSION, LOOKS, 2)
    assert made["results"][0] == {"hosts": 3, "seconds": MEASURED.seconds}


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


def test_the_plot_has_a_bar_for_every_side() -> None:
    """Ten times as long is as far to the right everywhere; it is well-formed XML."""
    results = [{"hosts": 3, "seconds": {"ours": [1.0], "a & b": [10.0], "slow": [100.0]}}]
    drawn = parseString(bars(results))  # noqa: S318  # our own text
    widths = [float(bar.getAttribute("width")) for bar in drawn.getElementsByTagName("rect")]
    assert widths[2] - widths[1] == pytest.approx(widths[1] - widths[0], abs=1)
    words = {text.firstChild.data for text in drawn.getElementsByTagName("text")}
    assert {"3 hosts", "ours", "a & b", "100 s"} <= words
