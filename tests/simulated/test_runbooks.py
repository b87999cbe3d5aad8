"""Whole runbooks against simulated hosts: order, faults, reports, exit statuses; a re-run completes the work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from simulating import Simulate, Simulated
from waiting import eventually

from plugins.settings import ROOT
from plugins.simulate.state import lasting

FEATURES_AND_INSTALL = ("--only", "preflight", "--only", "network-checks", "--only", "features", "--only", "install")
BOOTSTRAP, VERIFY, TASK = "runbooks.bootstrap", "runbooks.verify", "runbooks.task"


def report(hosts: Simulated, tmp_path: Path, *words: str, expect: int) -> tuple[dict, str]:
    """Run a runbook; give its JSON report and all that it printed."""
    file = tmp_path / "report.json"
    done = hosts.command(*words, "--report", str(file))
    assert done.returncode == expect, done.stdout + done.stderr
    return json.loads(file.read_text()), done.stdout + done.stderr


def statuses(said: dict) -> dict[str, str]:
    return {name: host["status"] for name, host in said["hosts"].items()}


def stages(said: dict, host: str) -> dict[str, str]:
    return {stage["name"]: stage["status"] for stage in said["hosts"][host]["stages"]}


def test_bare_hosts_become_an_overlay_once(simulated: Simulate, tmp_path: Path) -> None:
    """Dry run, run, run again, dry run: what would change, changes, and then nothing does."""
    hosts = simulated(count=4)
    bare = {name: lasting(hosts.state(name)) for name in ("master-1", "linux-1")}
    said, _ = report(hosts, tmp_path, BOOTSTRAP, "--dry-run", expect=0)
    assert set(statuses(said).values()) == {"would-change"}
    assert {name: lasting(hosts.state(name)) for name in bare} == bare
    assert not list(hosts.state_folder.rglob("pki"))
    assert not list(hosts.state_folder.rglob("lock"))
    said, _ = report(hosts, tmp_path, BOOTSTRAP, expect=0)
    assert statuses(said) == dict.fromkeys(["master-1", "linux-1", "linux-2", "linux-3"], "changed")
    for again in ((), ("--dry-run",)):
        said, _ = report(hosts, tmp_path, BOOTSTRAP, *again, expect=0)
        assert set(statuses(said).values()) == {"ok"}
    report(hosts, tmp_path, VERIFY, "--traffic", expect=0)


def test_verify_before_the_bootstrap_says_so(simulated: Simulate, tmp_path: Path) -> None:
    """Every failure has what to do about it: the bootstrap comes first."""
    hosts = simulated(count=2, windows=1)
    said, text = report(hosts, tmp_path, VERIFY, expect=1)
    assert statuses(said) == {"master-1": "failed", "linux-1": "failed", "windows-1": "ok"}
    blocks = text.partition("\n\nFAILED")[2].split("FAILED")
    assert len(blocks) == 4, text  # inspect twice, as each names its own program; inspect-node, inspect-windows
    assert all("What to do: run `python -m runbooks.bootstrap` first" in block for block in blocks), text


def test_a_failing_host_stops_nobody_else(simulated: Simulate, tmp_path: Path) -> None:
    """Its table says which host, step and words, and the command that it names completes the work."""
    hosts = simulated(count=3, faults=("linux-2:install:fail:output=mirror is on fire",))
    said, text = report(hosts, tmp_path, BOOTSTRAP, expect=1)
    assert statuses(said) == {"master-1": "changed", "linux-1": "changed", "linux-2": "failed"}
    assert stages(said, "linux-2")["join"] == "skipped"
    assert stages(said, "linux-1")["verify"] == "ok"
    assert "mirror is on fire" in text
    assert f"python -m {TASK} install --host linux-2" in text
    hosts.clear_faults()
    assert hosts.command(TASK, "install", "--host", "linux-2").returncode == 0
    said, _ = report(hosts, tmp_path, BOOTSTRAP, expect=0)
    assert statuses(said) == {"master-1": "changed", "linux-1": "ok", "linux-2": "changed"}
    assert {name for name, status in stages(said, "master-1").items() if status == "changed"} == {"labels"}


def test_a_failing_master_stops_what_needs_it_and_nothing_else(simulated: Simulate, tmp_path: Path) -> None:
    """Workers still install and get their bridges."""
    hosts = simulated(count=3, faults=("master-1:central:fail",))
    said, _ = report(hosts, tmp_path, BOOTSTRAP, expect=1)
    own = {
        "preflight",
        "network-checks",
        "install",
        "artifacts",
        "bridge",
        "certificates",
        "runtime",
        "images",
        "kubelet",
    }
    ended = {name: status for name, status in stages(said, "linux-1").items() if status in {"ok", "changed"}}
    assert set(ended) >= own
    assert stages(said, "linux-1")["join"] == "skipped"
    assert stages(said, "linux-1")["node-ready"] == "skipped"


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("linux-1:closed", "unreachable", "Connection refused"),
        ("linux-1:refuse-login", "unreachable", "refused the login"),
        ("linux-1:changed-host-key", "unreachable", "has changed"),
        ("linux-1:refuse-sudo", "failed", "sudo"),
        ("linux-1:require-tty", "failed", "sudo"),
        ("linux-1:join:cut", "failed", "the script goes on to its end on the host; running again is safe"),
        ("linux-1:join:cut:at=middle", "failed", "running again is safe"),
        ("linux-1:cut-sending", "failed", "was sent (Socket is closed); nothing ran; running again is safe"),
        ("linux-1:certificates:exit:status=3", "failed", "exit status 3 and without its end line"),
        ("linux-1:bridge/start:mute", "failed", "a login profile of"),
        ("linux-1:install:disk-full", "failed", "No space left"),
        ("linux-1:clock-skew:seconds=90", "failed", "clock"),
        ("linux-1:fact:os_version=9", "failed", "debian 9"),
    ],
)
def test_what_goes_wrong_is_said_and_mended(
    simulated: Simulate, tmp_path: Path, fault: str, status: str, words: str
) -> None:
    """Host, step, cause and next step are named; others finish; once mended, the same command completes the work."""
    hosts = simulated(count=3, faults=(fault,))
    said, text = report(hosts, tmp_path, BOOTSTRAP, expect=1)
    assert statuses(said) == {"master-1": "changed", "linux-1": status, "linux-2": "changed"}
    assert words in " ".join(text.split())
    assert "Run again:" in text
    hosts.clear_faults()
    said, _ = report(hosts, tmp_path, BOOTSTRAP, expect=0)
    assert statuses(said)["linux-1"] in {"changed", "ok"}
    assert statuses(said)["linux-2"] == "ok"


def test_a_firewall_is_found_before_the_network_is_changed(simulated: Simulate, tmp_path: Path) -> None:
    """Workers that do not get through to a port of the master say which, and their network stays as it was."""
    hosts = simulated(count=3, faults=("master-1:firewall:port=6642",))
    hosts.set_cluster(kubernetes=False)
    said, text = report(hosts, tmp_path, BOOTSTRAP, expect=1)
    assert statuses(said) == {"master-1": "changed", "linux-1": "failed", "linux-2": "failed"}
    assert stages(said, "linux-1")["bridge"] == "skipped"
    assert "6642" in text


def test_garbage_harms_nothing(simulated: Simulate, tmp_path: Path) -> None:
    """NUL, escape codes, 1 MB lines and forged step lines on every step change no outcome and reach no terminal."""
    said, text = report(simulated(count=2, faults=("*:garbage",)), tmp_path, BOOTSTRAP, expect=0)
    assert set(statuses(said).values()) == {"changed"}
    assert "\x1b" not in text
    assert "\0" not in text


def test_a_reboot_is_asked_for_by_a_package_and_done_once(simulated: Simulate, tmp_path: Path) -> None:
    """The host comes back with a new boot id and goes on; nobody else waits for it; the next run reboots nothing."""
    hosts = simulated(count=3, faults=("linux-1:want-reboot:times=1",))
    before = hosts.state("linux-1")["boot_id"]
    said, _ = report(hosts, tmp_path, BOOTSTRAP, expect=0)
    assert stages(said, "linux-1")["bridge"] == "changed"
    after = hosts.state("linux-1")["boot_id"]
    assert after != before
    report(hosts, tmp_path, BOOTSTRAP, expect=0)
    assert hosts.state("linux-1")["boot_id"] == after


def test_never_reboot_is_said_and_kept(simulated: Simulate, tmp_path: Path) -> None:
    """--reboot never leaves the host up and says that a reboot is due."""
    hosts = simulated(count=2, faults=("linux-1:want-reboot:times=1",))
    before = hosts.state("linux-1")["boot_id"]
    said, _ = report(hosts, tmp_path, BOOTSTRAP, "--reboot", "never", expect=0)
    bridge = next(stage for stage in said["hosts"]["linux-1"]["stages"] if stage["name"] == "bridge")
    assert any("not rebooted" in step["message"] for step in bridge["steps"])
    assert hosts.state("linux-1")["boot_id"] == before


def test_a_host_that_has_joined_is_rebooted_by_request_only(simulated: Simulate, tmp_path: Path) -> None:
    """A kernel update on hosts that are in use, and the same command again: all stay up, and say what they wait for."""
    hosts = simulated(count=2, faults=("*:want-reboot:times=1",))
    hosts.set_cluster(kubernetes=False)
    report(hosts, tmp_path, BOOTSTRAP, "--reboot", "never", expect=0)
    boots = {name: hosts.state(name)["boot_id"] for name in ("master-1", "linux-1")}
    said, _ = report(hosts, tmp_path, BOOTSTRAP, expect=0)
    for name in boots:
        bridge = next(stage for stage in said["hosts"][name]["stages"] if stage["name"] == "bridge")
        assert "it waits, as the host has joined" in bridge["steps"][0]["message"]
    assert {name: hosts.state(name)["boot_id"] for name in boots} == boots
    assert hosts.command(TASK, "bridge", "--host", "linux-1", "--reboot", "always").returncode == 0
    assert hosts.state("linux-1")["boot_id"] != boots["linux-1"]
    assert hosts.state("master-1")["boot_id"] == boots["master-1"]


def test_bare_hosts_are_rebooted_by_request_once(simulated: Simulate, tmp_path: Path) -> None:
    """And no second time where the same script goes on to ask for its network change to be confirmed."""
    hosts = simulated(count=2)
    hosts.set_cluster(kubernetes=False)
    said, _ = report(hosts, tmp_path, BOOTSTRAP, "--reboot", "always", expect=0)
    steps = {
        name: [step["name"] for stage in host["stages"] if stage["name"] == "bridge" for step in stage["steps"]]
        for name, host in said["hosts"].items()
    }
    assert {name: each.count("reboot") for name, each in steps.items()} == {"master-1": 1, "linux-1": 1}


def test_a_network_change_that_cuts_the_line_is_confirmed(simulated: Simulate, tmp_path: Path) -> None:
    """The connection is lost as the NIC moves; the change is confirmed over a new one."""
    said, _ = report(simulated(count=2, faults=("linux-1:cut-network",)), tmp_path, BOOTSTRAP, expect=0)
    assert stages(said, "linux-1")["bridge"] == "changed"


def test_a_selection_looks_at_its_needs_and_runs_nothing_else(simulated: Simulate, tmp_path: Path) -> None:
    """An unmet need outside the selection names the command to run first, and nothing is changed."""
    hosts = simulated(count=3)
    before = lasting(hosts.state("linux-1"))
    said, text = report(hosts, tmp_path, BOOTSTRAP, "--only", "join", "--host", "linux-1", expect=1)
    assert set(said["hosts"]) == {"linux-1"}
    assert "first, which is not in this selection and not done yet" in " ".join(text.split())
    assert f"python -m {TASK} " in text
    assert lasting(hosts.state("linux-1")) == before
    report(hosts, tmp_path, BOOTSTRAP, expect=0)
    said, _ = report(hosts, tmp_path, TASK, "join", "--host", "linux-1", expect=0)
    assert stages(said, "linux-1") == {"join": "ok"}


def test_a_need_on_a_master_that_is_down_is_not_called_undone(simulated: Simulate, tmp_path: Path) -> None:
    """Nobody knows what is done on a host that does not answer: it is said that it does not, and to look there."""
    hosts = simulated(count=2, faults=("master-1:closed",))
    said, text = report(hosts, tmp_path, TASK, "join", "--host", "linux-1", expect=1)
    (step,) = said["hosts"]["linux-1"]["stages"][0]["steps"]
    assert "central on master-1 could not be looked at: connect: " in step["message"]
    assert step["message"].endswith("Connection refused")
    assert "What to do: is the host up, and its SSH server?" in text


def test_a_need_that_fails_is_told_and_its_command_is_not(simulated: Simulate, tmp_path: Path) -> None:
    """Without the authority of the state folder, running its stage first would end in the same way."""
    hosts = simulated(count=2)
    report(hosts, tmp_path, BOOTSTRAP, "--only", "preflight", "--only", "authority", "--only", "install", expect=0)
    report(hosts, tmp_path, TASK, "certificates", "--host", "master-1", expect=0)
    (folder,) = hosts.state_folder.rglob("pki/authorities/ovn")
    (folder / "ca.pem").unlink()
    said, text = report(hosts, tmp_path, TASK, "certificates", "--host", "linux-1", expect=1)
    (step,) = said["hosts"]["linux-1"]["stages"][0]["steps"]
    assert "authority on master-1 fails: ovn authority: " in step["message"]
    assert "restore the folder from a backup" in step["message"]
    assert "What to do: mend what authority on master-1 fails at, then run the same command again" in text
    assert f"python -m {TASK} authority" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "linux-9"), "linux-1"),
        (("--role", "worker"), "linux"),
        (("--filter", "rolle=linux"), "role"),
        (("--only", "brige"), "bridge"),
        (("--from", "nowhere"), "preflight"),
        (("--only", "central", "--host", "linux-1"), "nothing to run"),
        (("--only", "preflight", "--from", "bridge"), "no stage of --only (preflight) is bridge or comes after it"),
        (("--report", "/proc/nowhere/r.json"), "/proc/nowhere/r.json"),
        (("-i", "/nowhere"), "/nowhere"),
    ],
)
def test_a_wrong_command_touches_no_host(simulated: Simulate, words: tuple[str, ...], said: str) -> None:
    """Exit status 2 and the known names, before any host is touched."""
    hosts = simulated(count=2)
    done = hosts.command(BOOTSTRAP, *words)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_run_is_refused_and_told_who_has_the_first(simulated: Simulate) -> None:
    """The master's lock refuses a run from another machine; exit status 3."""
    hosts = simulated(count=2, faults=("master-1:cluster-locked:owner=alice@laptop since noon",))
    done = hosts.command(BOOTSTRAP)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "alice@laptop since noon" in done.stdout + done.stderr
    assert not hosts.state("linux-1")["packages"].get("ovn-host")


@contextmanager
def _started(hosts: Simulated, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a runbook, and leave nothing of it; what it prints goes to a file beside the hosts."""
    command = [sys.executable, "-m", *words]
    environment = os.environ | hosts.environment
    with _said(hosts).open("w") as output:
        running = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def _said(hosts: Simulated) -> Path:
    return hosts.folder / "said"


def _await_text(file: Path, come: Callable[[str], bool]) -> None:
    """Wait until what a file holds is as wanted."""
    assert eventually(lambda: file.exists() and come(file.read_text()), seconds=60), file.read_text()


def _await_line(hosts: Simulated, *words: str) -> None:
    """Wait until a line of the runbook's has these words."""
    _await_text(
        _said(hosts), lambda text: any(all(word in line.split() for word in words) for line in text.splitlines())
    )


def _await_log(host: str, words: str) -> None:
    """Wait until the newest run's log of the host has these words."""
    _await_text(ROOT / "logs" / "latest" / f"{host}.log", lambda text: words in text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_within_seconds_and_says_where(simulated: Simulate, number: int) -> None:
    """Ctrl-C while a step hangs: exit status 130, and what was running where."""
    hosts = simulated(count=3, faults=("linux-1:install:hang",))
    with _started(hosts, BOOTSTRAP) as running:
        _await_line(hosts, "linux-2", "install", "changed")
        _await_log("linux-1", "[install] begins")
        began = time.monotonic()
        running.send_signal(number)
        assert running.wait(timeout=20) == 130
    assert time.monotonic() - began < 15
    assert "linux-1: install: " in _said(hosts).read_text()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("linux-1:silent", "linux-1: preflight: connect; no script was sent"),
        ("linux-1:install/start:hang", "linux-1: install: before its first step; if the script has come to the host"),
        ("windows-1:slow-reboot:seconds=60", "windows-1: features: reboot; no script was running"),
    ],
)
def test_an_interruption_tells_of_a_script_only_where_there_is_one(simulated: Simulate, fault: str, told: str) -> None:
    """Not of a host that was never logged in to, nor of one that reboots; and no sentence of it denies another."""
    hosts = simulated(count=2, windows=1, faults=(fault,))
    with _started(hosts, BOOTSTRAP, "--mirror", "http://mirror.simulated", *FEATURES_AND_INSTALL) as running:
        _await_line(hosts, "master-1", "install", "changed")
        if "windows" in fault:
            _await_log("windows-1", "changed reboot (")
        if "install" in fault:
            _await_log("linux-1", "[install]")
        time.sleep(2)  # until all others wait, too
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=20) == 130
    text = _said(hosts).read_text().partition("Interrupted while running")[2]
    assert told in text
    assert "to its end" not in text.replace("if the script has come to the host whole, it goes on to its end there", "")


def test_an_interrupted_traffic_probe_leaves_nothing(simulated: Simulate, tmp_path: Path) -> None:
    """Ctrl-C while packets are sent: the temporary ports and their switch are taken away first."""
    hosts = simulated(count=3)
    report(hosts, tmp_path, BOOTSTRAP, expect=0)
    before = lasting(hosts.state("master-1")), lasting(hosts.state("linux-1"))
    hosts.add_fault("linux-1:traffic_ping:hang:seconds=8")
    with _started(hosts, VERIFY, "--traffic") as running:
        _await_line(hosts, "linux-1", "traffic-port", "ok")
        _await_line(hosts, "linux-2", "traffic", "ok")
        _await_log("linux-1", "> ping")
        running.send_signal(signal.SIGINT)
        running.wait(timeout=40)
    text = _said(hosts).read_text()
    assert running.returncode == 130, text
    assert "linux-1: traffic: ping" in text, text
    assert (lasting(hosts.state("master-1")), lasting(hosts.state("linux-1"))) == before


def test_traffic_to_one_host_takes_the_master_along(simulated: Simulate, tmp_path: Path) -> None:
    """The switch is the master's, so it takes part though it was not selected."""
    hosts = simulated(count=3)
    report(hosts, tmp_path, BOOTSTRAP, expect=0)
    said, _ = report(hosts, tmp_path, VERIFY, "--traffic", "--host", "linux-1", expect=0)
    assert set(said["hosts"]) == {"master-1", "linux-1"}


def test_a_killed_run_is_run_again(simulated: Simulate, tmp_path: Path) -> None:
    """Kill -9 at whatever moment: the next run completes the work, and there is one authority only."""
    hosts = simulated(count=3)
    fingerprints = set()
    for moment in (0.7, 1.2, 1.7, 2.2):
        with _started(hosts, BOOTSTRAP) as running:
            time.sleep(moment)
            running.kill()
        fingerprints |= {
            path.read_text() for path in hosts.state_folder.rglob("pki/**/certificate.pem") if "ovn" in str(path.parent)
        }
    said, _ = report(hosts, tmp_path, BOOTSTRAP, expect=0)
    assert {"failed", "unreachable"} & set(statuses(said).values()) == set()
    said, _ = report(hosts, tmp_path, BOOTSTRAP, expect=0)
    assert set(statuses(said).values()) == {"ok"}


def test_no_authority_is_made_while_the_master_trusts_another(simulated: Simulate, tmp_path: Path) -> None:
    """A run with an empty state folder against a cluster that has a CA refuses, and changes no certificate."""
    hosts = simulated(count=2)
    report(hosts, tmp_path, BOOTSTRAP, expect=0)
    before = hosts.state("linux-1")
    environment = hosts.environment | {"OVN_RUNBOOKS_STATE": str(tmp_path / "other")}
    done = subprocess.run(
        [sys.executable, "-m", BOOTSTRAP],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "use the state folder that this cluster was made with" in " ".join(done.stdout.split())
    assert not list((tmp_path / "other").rglob("*.pem"))
    assert hosts.state("linux-1")["files"] == before["files"]


def test_two_hundred_hosts_in_bounded_memory(simulated: Simulate, tmp_path: Path) -> None:
    """200 hosts, one of them down: under 500 MB, the others finish, the output names the one and sums up the rest."""
    hosts = simulated(count=200, faults=("linux-77:closed",))
    script = (
        "import resource, subprocess, sys;"
        "code = subprocess.run([sys.executable, '-m', *sys.argv[1:]]).returncode;"
        "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss);"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, BOOTSTRAP],
        env=os.environ | hosts.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr
    assert int(done.stdout.rsplit("peak ", 1)[1]) < 500 * 1024
    assert "linux-77" in done.stdout
    assert "1 of 200 hosts failed" in done.stdout
    assert len(done.stdout.split("All", 1)[0].splitlines()) < 200 * 20
    assert not list(tmp_path.iterdir())


def test_no_secret_is_told(simulated: Simulate, tmp_path: Path) -> None:
    """Passwords and keys are in no output, log or report."""
    hosts = simulated(count=2, login="password", sudo_password=True)
    _, text = report(hosts, tmp_path, BOOTSTRAP, "--verbose", expect=0)
    logs = "".join(path.read_text() for path in (ROOT / "logs" / "latest").glob("*.log"))
    told = text + logs + (tmp_path / "report.json").read_text()
    for path in hosts.folder.glob("*password*"):
        assert path.read_text().strip() not in told
    assert "PRIVATE KEY" not in told
