"""Simulated Windows hosts over the real WinRM client: the same steps, reports and faults as on Linux hosts.

No PowerShell runs here: these tests prove transport, order, reports and what becomes of faults.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from nornir.core.processor import Processors
from nornir.core.task import Task
from simulating import Simulate, Simulated

from plugins.context import attach
from plugins.errors import UnreachableError
from plugins.powershell import quote
from plugins.simulate.state import lasting
from plugins.steps import Status
from tasks.install_features import install_features


def test_a_body_is_played_over_winrm(simulated: Simulate) -> None:
    """Look, act, look again; the next run and the next dry run find all as wanted."""
    hosts = simulated(count=1, windows=1)
    body = "file C:\\k\\conf 'grüße, 漢字\n'\nfirewall_rule kubelet TCP '10250'\ngather hostname"
    for dry_run, expected in ((True, "would-change"), (False, "changed"), (False, "ok"), (True, "ok")):
        said = hosts.run("windows-1", body, dry_run=dry_run)
        assert said.statuses == [expected, expected, "ok"], said
        assert said.completed.exit_status == 0
        assert said.transcript.ended
    assert said.transcript.facts == {"hostname": "windows-1"}
    assert hosts.state("windows-1")["files"]["entries"]["/c:/k/conf"]["content"] == "grüße, 漢字\n"


def test_a_script_of_a_hundred_kilobytes(simulated: Simulate) -> None:
    """It is sent in one piece or several, and played as any other."""
    hosts = simulated(count=1, windows=1)
    content = "".join(f"{number} grüße\n" for number in range(10_000))
    said = hosts.run("windows-1", f"file C:\\big {quote(content)}")
    assert said.statuses == ["changed"]
    assert hosts.state("windows-1")["files"]["entries"]["/c:/big"]["content"] == content


def test_statements_are_refused(simulated: Simulate) -> None:
    """A simulated host takes verb calls and nothing else, however they got into the script."""
    hosts = simulated(count=1, windows=1)
    shell, said = hosts.shell("windows-1"), []
    done = shell.run(b"Restart-Computer -Force", deadline=10, on_line=said.append)
    assert done.exit_status == 2
    assert b"does not begin with the four settings" in done.stderr
    assert hosts.state("windows-1")["counters"]["refused_scripts"] == 1


def test_a_wrong_password_is_one_attempt(simulated: Simulate) -> None:
    """The error names the user's setting; no lock-out is risked by trying again."""
    hosts = simulated(count=1, windows=1)
    (hosts.folder / "windows-password").write_text("wrong")
    with pytest.raises(UnreachableError, match=r"winrm\.password"):
        hosts.shell("windows-1")
    assert hosts.state("windows-1")["counters"]["refused_logins"] == 1


def test_a_step_that_hangs_ends_at_its_deadline(simulated: Simulate) -> None:
    """The host ends it, and the shell takes the next script."""
    hosts = simulated(count=1, windows=1, faults=("windows-1:file:hang:times=1",))
    said = hosts.run("windows-1", "file C:\\x y", deadline=1)
    assert said.completed.exit_status == 124
    assert said.transcript.running == "file C:\\x"
    assert hosts.run("windows-1", "file C:\\x y").statuses == [Status.CHANGED]


STAGES = ("preflight", "network-checks", "features", "protection")


def bootstrap(hosts: Simulated, tmp_path: Path, *words: str, expect: int | None = 0) -> tuple[dict, str]:
    """Run the stages that need no other host; give the Windows host's part of the report, and all that was printed."""
    file = tmp_path / "report.json"
    only = [word for stage in STAGES for word in ("--only", stage)] if "--only" not in words else []
    words = ("runbooks.bootstrap", "--role", "windows", *only, *words, "--report", str(file))
    done = hosts.command(*words)
    assert expect is None or done.returncode == expect, done.stdout + done.stderr
    return json.loads(file.read_text())["hosts"]["windows-1"], done.stdout + done.stderr


def stages(host: dict) -> dict[str, str]:
    return {stage["name"]: stage["status"] for stage in host["stages"]}


def test_a_bare_windows_host_is_prepared_once(simulated: Simulate, tmp_path: Path) -> None:
    """What would change, changes, with a reboot for the feature; then nothing does, in a run or a dry run."""
    hosts = simulated(count=1, windows=1)
    before = lasting(hosts.state("windows-1"))
    host, _ = bootstrap(hosts, tmp_path, "--dry-run")
    looked = {"preflight": "ok", "network-checks": "ok"}
    assert stages(host) == looked | {"features": "would-change", "protection": "would-change"}
    assert lasting(hosts.state("windows-1")) == before
    host, text = bootstrap(hosts, tmp_path)
    assert stages(host) == looked | {"features": "changed", "protection": "changed"}, text
    steps = {step["name"]: step["status"] for stage in host["stages"] for step in stage["steps"]}
    assert steps["feature Containers"] == steps["reboot for the feature"] == steps["reboot"] == "changed"
    assert steps["reboot first"] == "ok"
    state = hosts.state("windows-1")
    assert state["counters"]["reboots"] == 1
    assert state["windows"]["features"]["Containers"] == "Enabled"
    assert state["windows"]["firewall"]["ovn-runbooks-vxlan"] == "Allow Inbound UDP 4789 Any True"
    for again in ((), ("--dry-run",)):
        host, _ = bootstrap(hosts, tmp_path, *again)
        assert set(stages(host).values()) == {"ok"}
    assert hosts.state("windows-1")["counters"]["reboots"] == 1


def test_a_task_that_changes_nothing_costs_four_requests(simulated: Simulate, tmp_path: Path) -> None:
    """Command, Send, Receive, Signal; and one shell for the whole run, which is deleted."""
    hosts = simulated(count=1, windows=1)
    bootstrap(hosts, tmp_path)
    before = hosts.requests("windows-1")
    bootstrap(hosts, tmp_path)
    asked = Counter(hosts.requests("windows-1")[len(before) :])
    scripts = 4  # of preflight, network-checks, features and protection
    assert asked == dict.fromkeys(["Command", "Send", "Receive", "Signal"], scripts) | {"Create": 1, "Delete": 1}
    shells = Counter(before)
    assert shells["Create"] == 2, "one before the reboot and one after it"


def test_two_reboots_where_one_was_pending(simulated: Simulate, tmp_path: Path) -> None:
    """Windows' own comes first, as nothing can be installed on top of it."""
    hosts = simulated(count=1, windows=1)
    hosts.run("windows-1", "windows_feature Hyper-V")
    host, _ = bootstrap(hosts, tmp_path)
    assert host["status"] == "changed"
    assert hosts.state("windows-1")["counters"]["reboots"] == 2
    assert set(hosts.state("windows-1")["windows"]["features"].values()) == {"Enabled"}


def test_a_host_that_has_the_feature_is_not_rebooted_for_updates(simulated: Simulate, tmp_path: Path) -> None:
    """Pods run there; what Windows waits for is said, by preflight as well."""
    hosts = simulated(count=1, windows=1)
    bootstrap(hosts, tmp_path)
    hosts.run("windows-1", "windows_feature Hyper-V")
    before = hosts.state("windows-1")["boot_id"]
    host, _ = bootstrap(hosts, tmp_path)
    assert (stages(host)["features"], hosts.state("windows-1")["boot_id"]) == ("ok", before)
    steps = {step["name"]: step["message"] for stage in host["stages"] for step in stage["steps"]}
    assert steps["reboot first"].endswith("not rebooted, as the feature Containers is there")
    assert "Windows is being serviced" in steps["check pending-reboot"]
    bootstrap(hosts, tmp_path, "--reboot", "always")
    assert hosts.state("windows-1")["boot_id"] != before


def test_a_reboot_may_be_forbidden(simulated: Simulate, tmp_path: Path) -> None:
    """The feature is installed, and the step says what still waits."""
    hosts = simulated(count=1, windows=1)
    host, _ = bootstrap(hosts, tmp_path, "--reboot", "never")
    steps = {step["name"]: step["message"] for stage in host["stages"] for step in stage["steps"]}
    assert "not rebooted" in steps["reboot for the feature"]
    assert hosts.state("windows-1")["counters"]["reboots"] == 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("windows-1:refuse-login", "winrm.password"),
        ("windows-1:certificate:is=self-signed", "ca_file"),
        ("windows-1:certificate:is=expired", "expired"),
        ("windows-1:quota", "MaxShellsPerUser"),
        ("windows-1:closed", "windows-1"),
    ],
)
def test_a_host_that_is_not_reached_says_why(simulated: Simulate, tmp_path: Path, fault: str, words: str) -> None:
    """And what to do about it."""
    hosts = simulated(count=1, windows=1, faults=(fault,))
    host, text = bootstrap(hosts, tmp_path, "--only", "preflight", expect=1)
    assert host["status"] == "unreachable"
    assert words in " ".join(text.split()), text


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("windows-1:fact:os_build=17763.1", "one of 20348.681"),
        ("windows-1:features/windows_feature:fail:output=fehlt: grüß, 漢字", "fehlt: grüß, 漢字"),
        ("windows-1:protection:disk-full", "No space left"),
        ("windows-1:features/feature Containers:exit:status=3", "exit status 3"),
        ("windows-1:features/start:mute", "Windows PowerShell 5.1"),
    ],
)
def test_a_fault_fails_the_host_and_a_run_without_it_completes_the_work(
    simulated: Simulate, tmp_path: Path, fault: str, words: str
) -> None:
    """Host, step and words are in the table; nothing is left that the next run minds."""
    hosts = simulated(count=1, windows=1, faults=(fault,))
    host, text = bootstrap(hosts, tmp_path, expect=1)
    assert host["status"] == "failed", text
    assert words in " ".join(text.split()), text
    hosts.clear_faults()
    host, _ = bootstrap(hosts, tmp_path)
    assert host["status"] == "changed"


def test_a_line_that_is_cut_costs_a_second_run_at_most(simulated: Simulate, tmp_path: Path) -> None:
    """Between two requests nothing is lost with it, within one the result is; either way a second run completes."""
    hosts = simulated(count=1, windows=1, faults=("windows-1:features:cut",))
    host, text = bootstrap(hosts, tmp_path, expect=None)
    assert host["status"] in {"changed", "failed", "unreachable"}, text
    hosts.clear_faults()
    bootstrap(hosts, tmp_path)
    host, _ = bootstrap(hosts, tmp_path)
    assert host["status"] == "ok"


def test_hosts_of_both_systems_are_compared(simulated: Simulate, tmp_path: Path) -> None:
    """What a Linux and a Windows host share fails both; Linux hosts probe each other, and Windows hosts probe them."""
    faults = tuple(f"{name}:fact:machine_id=cloned" for name in ("linux-1", "windows-1"))
    hosts = simulated(count=3, windows=1, faults=faults)
    file = tmp_path / "report.json"
    done = hosts.command("runbooks.bootstrap", "--only", "network-checks", "--report", str(file))
    assert done.returncode == 1
    found = json.loads(file.read_text())["hosts"]
    compared = {name: host["stages"][-1]["steps"] for name, host in found.items()}
    bad = {name: {step["name"] for step in steps if step["status"] == "failed"} for name, steps in compared.items()}
    same = {"check machine-id"}
    assert bad == {"master-1": set(), "linux-1": same, "linux-2": set(), "windows-1": same}
    probed = next(step["message"] for step in compared["linux-2"] if step["name"] == "check reach-tunnels")
    assert "linux-1" in probed
    assert "windows-1" not in probed
    messages = {step["name"]: step["message"] for step in compared["windows-1"]}
    assert "TCP 6443 of master-1" in messages["check reach-master"]
    assert "UDP 4789 of linux-1" in messages["check reach-tunnels"]
    assert "with packets of 1500 bytes" in messages["check path-mtu"]
    kubelets = next(step for step in compared["master-1"] if step["name"] == "check reach-kubelets")
    assert kubelets["status"] == "ok"
    assert "TCP 10250 of windows-1" in kubelets["message"]
    assert "not asked" in kubelets["message"]


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("master-1:firewall:port=tcp/6443", "check reach-master", "TCP 6443 of master-1"),
        ("linux-1:firewall:port=udp/4789", "check reach-tunnels", "UDP 4789 of linux-1"),
    ],
)
def test_a_port_that_a_windows_host_does_not_reach_fails_it(
    simulated: Simulate, tmp_path: Path, fault: str, check: str, words: str
) -> None:
    """By the same check and in the same words as on Linux; hosts that do not need the port go on."""
    hosts = simulated(count=2, windows=1, faults=(fault,))
    file = tmp_path / "report.json"
    assert hosts.command("runbooks.bootstrap", "--only", "network-checks", "--report", str(file)).returncode == 1
    found = json.loads(file.read_text())["hosts"]
    failed = {
        step["name"]: step["message"]
        for step in found["windows-1"]["stages"][-1]["steps"]
        if step["status"] == "failed"
    }
    assert set(failed) == {check}
    assert words in failed[check]
    assert ": timeout" in failed[check]
    assert found["master-1"]["status"] == "ok"


def test_garbage_among_the_lines_is_no_step(simulated: Simulate, tmp_path: Path) -> None:
    """Escape codes, invalid UTF-8, a line of 1 MB and forged steps go to the host's log and nowhere else."""
    hosts = simulated(count=1, windows=1, faults=("windows-1:preflight:garbage:times=1",))
    host, text = bootstrap(hosts, tmp_path)
    assert host["status"] == "changed"
    assert "forged" not in json.dumps(host) + text


def test_a_reboot_that_never_comes_back_fails(simulated: Simulate, tmp_path: Path) -> None:
    """The deadline is the settings'; when the host is up again, the same command completes the work."""
    hosts = simulated(count=1, windows=1, faults=("windows-1:no-return",))
    hosts.shell("windows-1")
    context = replace(hosts.context, settings=hosts.context.settings.model_copy(update={"reboot_deadline": 2.0}))
    attach(hosts.nornir, context)
    task = Task(install_features, hosts.nornir, global_dry_run=False, processors=Processors(), name="features")
    result = task.start(hosts.nornir.inventory.hosts["windows-1"])[0]
    assert "not back after 2 s" in result.steps[-1].message
    hosts.hang_up()
    hosts.clear_faults()
    hosts.power_on("windows-1")
    host, _ = bootstrap(hosts, tmp_path)
    assert stages(host)["features"] == "ok"
