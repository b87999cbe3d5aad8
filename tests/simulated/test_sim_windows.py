"""Simulated Windows hosts over the real WinRM client: the same steps, reports and faults as on Linux hosts.

No PowerShell runs here: these tests prove transport, order, reports and what becomes of faults.
"""

from __future__ import annotations

import pytest
from simulating import Simulate

from plugins.errors import UnreachableError
from plugins.powershell import quote
from plugins.steps import Status


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
