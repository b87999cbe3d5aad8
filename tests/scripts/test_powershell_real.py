"""The PowerShell library run by a real PowerShell, where there is one; what only Windows has is a stand-in.

Not Windows PowerShell 5.1, but the same language: this finds what a grammar cannot, such as a wrong method or scope.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from powershell_grammar import errors
from scripting import Said

from plugins.artifacts.serve import Serving
from plugins.checks.facts import HostFacts
from plugins.connections.winrm_bootstrap import arguments, framed
from plugins.powershell import assemble, quote, secret_lines
from plugins.secret import Secret
from plugins.simulate.windows.difference import difference
from plugins.steps import Transcript, parse_line

MARK = f"@{'feedc0de' * 4} "
WORD = "0123456789abcdef" * 2
CMDLETS = Path(__file__).with_name("windows_cmdlets.ps1").read_text()
real = pytest.mark.skipif(
    shutil.which("pwsh") is None, reason="pwsh is not installed: the PowerShell step library is not run for real"
)


def script(body: str, *, dry_run: bool = False) -> str:
    """Give the script that a task would send, with the stand-ins before its last line."""
    text = assemble(body, marker=MARK, dry_run=dry_run, wait=5, owner="tester, test")
    library, last, nothing = text.rpartition("steps_run\n")
    assert (last, nothing) == ("steps_run\n", "")
    return f"{library}{CMDLETS}{last}"


def run(body: str, *, dry_run: bool = False, secrets: tuple[str, ...] = ()) -> Said:
    """Run a body by the bootstrap, as over WinRM."""
    text = secret_lines(map(Secret, secrets)) + script(body, dry_run=dry_run)
    data = framed(text.encode(), WORD, 60)
    done = subprocess.run(["pwsh", *arguments()], input=data, capture_output=True, timeout=120, check=False)
    transcript = Transcript()
    for raw in done.stdout.split(b"\n"):
        transcript.add(parse_line(raw.removesuffix(b"\r"), MARK))
    said = Said(transcript, done.returncode, done.stderr.decode(errors="replace"))
    assert transcript.ended, said
    return said


def test_the_stand_ins_are_read_by_the_grammar() -> None:
    """They have been run nowhere yet where there is no PowerShell."""
    assert errors(CMDLETS) == []
    assert errors(script("gather hostname\n")) == []


@real
def test_a_file_is_looked_at_written_and_left(tmp_path: Path) -> None:
    """A dry run shows the diff that the twin shows, and writes nothing; a second run finds all as wanted."""
    file, old, new = tmp_path / "a b", "one\ntwo\nthree\n", "one\n2\nthree\ngrüße, 漢字"
    file.write_text(old)
    body = f"file {quote(file)} {quote(new)}\n"
    dry = run(body, dry_run=True)
    assert dry.statuses == ["would-change"]
    assert dry.steps[0].diff == difference(old, new, str(file), str(file))
    assert file.read_text() == old
    assert [run(body).statuses for _ in range(2)] == [["changed"], ["ok"]]
    assert file.read_bytes() == new.encode()
    assert [each.name for each in tmp_path.iterdir()] == ["a b"]


@real
@pytest.mark.parametrize(
    "body",
    [
        "windows_feature Containers",
        "firewall_rule kubelet TCP '10250'",
        "scheduled_task boot C:\\cmd.exe '/c x > y'",
        "service_defined kubelet 'C:\\k\\kubelet.exe -v=2'",
        "ensure 'make it' '$Windows.Made' '$Windows.Made = 1'",
    ],
)
def test_what_windows_keeps_changes_once(body: str) -> None:
    """Look, act, look again; then all is as wanted. A dry run leaves it as it is."""
    assert run(f"{body}\n{body}\n").statuses == ["changed", "ok"]
    assert run(f"{body}\n{body}\n", dry_run=True).statuses == ["would-change", "would-change"]


@real
def test_the_clock_is_a_whole_number_of_microseconds() -> None:
    """In the form that the checks read, whatever the last digit."""
    for _ in range(3):
        before, clock, after = time.time(), run("gather clock\n").transcript.facts["clock"], time.time()
        assert before - 1 <= HostFacts({"clock": clock}).number("clock") / 1e6 <= after + 1


@real
def test_a_nic_that_a_switch_has_taken_is_told_with_its_own_mtu() -> None:
    """IP knows nothing of it; and every line has all of its words."""
    facts = HostFacts(run("gather nics\n").transcript.facts)
    assert {name: (nic.mtu, nic.manager) for name, nic in facts.nics.items()} == {
        "4": (1500, "physical Ethernet 2"),
        "5": (0, "virtual odd"),
        "12": (1450, "virtual vEthernet (Ethernet 2)"),
    }


@real
def test_a_service_starts_and_stops() -> None:
    """With its start mode; what is not there cannot be started, and says so."""
    body = "service_defined a C:\\a.exe\nservice a manual running\nservice a manual running\nservice a stopped\n"
    assert run(f"service_defined b C:\\b.exe\n{body}gather 'services=a none'\n").transcript.facts == {
        "services": "a Stopped Manual C:\\a.exe\nnone -"
    }
    assert run(body).statuses == ["changed", "changed", "ok", "changed"]
    missing = run("service kubelet running\nfile /nowhere/x y\n")
    assert (missing.statuses, missing.steps[0].message) == (["failed"], "there is no service kubelet")


@real
def test_a_scheduled_task_is_told_in_the_words_of_the_check() -> None:
    """As SYSTEM, which it was made for by number."""
    said = run("scheduled_task boot C:\\cmd.exe '/c x > y'\ngather 'scheduled=boot'\n")
    assert said.transcript.facts == {"scheduled": "at boot as SYSTEM: C:\\cmd.exe /c x > y"}


@real
def test_what_windows_stops_together_with_a_service_is_started_with_it(tmp_path: Path) -> None:
    """All that depends on it, directly or not, and runs; what was stopped before stays so."""
    after, file = {"a": "", "b": "a", "c": "b", "d": "a"}, quote(tmp_path / "a.conf")
    body = "".join(f"service_defined {name} C:\\{name}.exe {depends}\n" for name, depends in after.items())
    said = run(
        f"{body}service c running\nfile {file} x\nrestart_on a {file}\nservice a running\ngather 'services=a b c d'\n"
    )
    states = [line.split()[1] for line in said.transcript.facts["services"].splitlines()]
    assert states == ["Running", "Running", "Running", "Stopped"]
    assert said.statuses[-3:] == ["changed", "ok", "ok"]


@real
def test_a_reboot_is_asked_for_and_ends_the_script() -> None:
    """With the boot that it is asked in as a fact; a dry run goes on."""
    body = "windows_feature Containers\nreboot_when needed\ngather boot_id\n"
    said = run(body)
    assert [step.asks.value for step in said.steps] == ["", "reboot"]
    assert said.transcript.facts == {"boot_id": "2026-01-02T03:04:05.000000Z"}
    assert run(body, dry_run=True).statuses == ["would-change", "ok", "ok"]


@real
def test_a_reboot_is_needed_in_one_phase_of_a_feature() -> None:
    """Before it, where it is missing and Windows waits for one already; after it, where it is pending."""
    first, last = "reboot_when needed first Containers missing\n", "reboot_when needed last Containers pending\n"
    said = run(f"{first}windows_feature Containers\n{first}{last}")
    assert [(step.status.value, step.asks.value) for step in said.steps] == [
        ("ok", ""),
        ("changed", ""),
        ("ok", ""),
        ("changed", "reboot"),
    ]
    assert said.steps[2].message == f"{said.steps[3].message}; not rebooted, as the feature Containers is pending"


@real
def test_secrets_are_written_and_not_shown(tmp_path: Path) -> None:
    """Their files are protected, and of a key inspect_pairs tells only who may read it."""
    file, body = tmp_path / "key.pem", f"secret_file {quote(tmp_path / 'key.pem')} secret:1\n"
    first = run(body, secrets=("one", "zwei: grüß"))
    assert first.statuses == ["changed"]
    assert file.read_text() == "zwei: grüß"
    assert file.stat().st_mode & 0o077 == 0
    assert "zwei" not in repr(first)
    pair = f"inspect_pairs a {quote(file)} {quote(file)} /nowhere b /nowhere /nowhere /nowhere\n"
    told = run(body + pair, secrets=("one", "zwei: grüß"))
    assert told.statuses == ["ok", "ok"]
    assert told.transcript.facts["key_mode_a"] == "protected"
    assert (told.transcript.facts["key_mode_b"], told.transcript.facts["certificate_b"]) == ("(missing)", "")


@real
def test_a_folder_that_was_there_is_taken_over_as_a_whole(tmp_path: Path) -> None:
    """All that is in it, but for what is protected already; links are neither followed nor left."""
    folder, modes = tmp_path / "k", {"sub": 0o711, "sub/file": 0o622, "pki": 0o700, "pki/key": 0o611}
    folder.mkdir()
    for name, mode in modes.items():
        (folder / name).touch() if "/" in name else (folder / name).mkdir()
        (folder / name).chmod(mode)
    body = f"directory {quote(folder)} protected\n"
    assert run(body, dry_run=True).statuses == ["would-change"]
    assert [run(body).statuses for _ in range(2)] == [["changed"], ["ok"]]
    seen = {name: (folder / name).stat().st_mode & 0o777 for name in modes}
    assert seen == modes | {"sub": 0o777, "sub/file": 0o666}
    folder.chmod(0o755)
    (folder / "link").symlink_to(tmp_path)
    linked = run(body)
    assert linked.statuses == ["failed"]
    assert "is a link to another place" in linked.steps[0].output
    folder.chmod(0o755)
    (tmp_path / "other").symlink_to(folder)
    assert run(f"directory {quote(tmp_path / 'other')} protected\n").statuses == ["failed"]


@real
def test_words_come_back_as_they_are_and_a_failure_ends_the_script() -> None:
    """Quotes, control characters and any script of the world, in names, messages and output; the end line is there."""
    said = run(
        "ensure 'näme \"x\" \t\x1b[31m 漢字' '$false' 'Write-Output ausgabe: ä; throw \"kaputt: ö\"'\nabsent /nowhere\n"
    )
    assert (said.statuses, said.status) == (["failed"], 1)
    assert 'näme "x"' in said.steps[0].name
    assert said.steps[0].message == "the change failed"
    assert said.steps[0].output.splitlines() == ["ausgabe:", "ä", "kaputt: ö"]


@real
def test_a_served_file_is_fetched_and_a_wrong_one_is_not_taken(tmp_path: Path) -> None:
    """From the machine that runs this; what was there stays, and nobody is told the path."""
    source, file = tmp_path / "source", tmp_path / "folder" / "kubelet.exe"
    source.write_bytes(bytes(range(256)) * 1000)
    digest, serving = sha256(source.read_bytes()).hexdigest(), Serving()
    try:
        served = serving.offer("127.0.0.1", {"place": source})
        right = (served.address("place").reveal(),)
        body = f"artifact {quote(file)} {quote(digest)} secret:0\n"
        assert [run(body, secrets=right).statuses for _ in range(2)] == [["changed"], ["ok"]]
        assert file.read_bytes() == source.read_bytes()
        source.write_bytes(b"forged")
        wrong = run(f"artifact {quote(file)} {quote('0' * 64)} secret:0\n", secrets=right)
        assert wrong.statuses == ["failed"]
        assert f"{served.origin}: sha256 {sha256(b'forged').hexdigest()}, not {'0' * 64}" in wrong.steps[0].output
        missing = run(f"artifact {quote(file)} {quote('0' * 64)} secret:0\n", secrets=(f"{right[0]}x",))
        assert "(404)" in missing.steps[0].output
        assert served.word.reveal() not in repr((wrong, missing))
    finally:
        serving.close()
    gone = run(f"artifact {quote(file)} {quote('0' * 64)} secret:0\n", secrets=right)
    assert served.origin in gone.steps[0].output
    assert sha256(file.read_bytes()).hexdigest() == digest
    assert [each.name for each in file.parent.iterdir()] == ["kubelet.exe"]


@contextmanager
def answering(token: str, said: bytes) -> Iterator[tuple[int, int]]:
    """Listen on a TCP and a UDP port for questions with this token; give both ports."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))

        def by_tcp() -> None:
            while True:
                try:
                    asked, _ = tcp.accept()
                except OSError:
                    return
                with asked:
                    if asked.recv(300).startswith(f"ovn-runbooks {token} ".encode()):
                        asked.sendall(said)

        def by_udp() -> None:
            while (question := udp.recvfrom(65535))[0] != b"end":
                if question[0].startswith(f"ovn-runbooks {token} me".encode()):
                    udp.sendto(said, question[1])

        threads = [threading.Thread(target=each, daemon=True) for each in (by_tcp, by_udp)]
        for thread in threads:
            thread.start()
        yield int(tcp.getsockname()[1]), int(udp.getsockname()[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", udp.getsockname())
        threads[1].join(5)
        tcp.shutdown(socket.SHUT_RDWR)
        threads[0].join(5)


@real
def test_what_the_answers_of_ports_are() -> None:
    """Open, refused and wrong answers are told apart, all in one go, as by the Linux hosts' own program."""
    with answering("t1", b"ovn-runbooks t1\n") as (tcp, udp), answering("t1", b"hello\n") as (other, strange):
        with socket.create_server(("127.0.0.1", 0)) as free:
            closed = int(free.getsockname()[1])
        targets = {
            f"tcp:127.0.0.1:{tcp}:t1": "open",
            f"tcp:127.0.0.1:{other}": "open",
            f"tcp:127.0.0.1:{other}:t1": "wrong-answer",
            f"tcp:127.0.0.1:{closed}:t1": "refused",
            f"udp:127.0.0.1:{udp}:t1": "open",
            f"udp:127.0.0.1:{udp}:t1:1500": "open",
            f"udp:127.0.0.1:{strange}:t1": "wrong-answer",
            f"udp:127.0.0.1:{closed}:t1": "refused",
        }
        said = run(f"probe me {' '.join(map(quote, targets))}\n")
    assert said.statuses == ["ok"]
    facts = {f"probe {target.replace(':t1', '')}": state for target, state in targets.items()}
    # The same port was asked twice, with a token and without: the last answer stands.
    assert said.transcript.facts == facts
