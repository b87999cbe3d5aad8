"""Runs with something wrong on the operator's own machine: exit status 2, and no host is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from simulating import Simulate, Simulated

BOOTSTRAP, VERIFY = "runbooks.bootstrap", "runbooks.verify"


def refused(hosts: Simulated, *words: str) -> str:
    """Run a command that must end in exit status 2 before it connects; gives what it says."""
    done = hosts.command(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert hosts.state("master-1")["counters"]["connections"] == 0
    return done.stderr


@pytest.mark.parametrize("words", [(BOOTSTRAP,), (BOOTSTRAP, "--dry-run"), (VERIFY,)])
def test_damaged_known_hosts_end_the_run(simulated: Simulate, words: tuple[str, ...]) -> None:
    """Whether the run takes the cluster's lock or not."""
    hosts = simulated(2)
    file = hosts.folder / "known_hosts"
    file.write_text(file.read_text() + "h ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\n")
    assert f"{file}, line 3: the host key is damaged" in refused(hosts, *words)


@pytest.mark.parametrize("words", [(BOOTSTRAP,), (VERIFY,)])
def test_a_wrong_ssh_configuration_ends_the_run(simulated: Simulate, tmp_path: Path, words: tuple[str, ...]) -> None:
    """~/.ssh/config is read without being asked for, so it is named."""
    hosts = simulated(2)
    file = tmp_path / "config"
    file.write_text("Nonsense\n")
    hosts.set_ssh(config_file=str(file))
    assert f"{file}, line 1: Unparsable line Nonsense" in refused(hosts, *words)


def test_what_the_ssh_configuration_says_of_one_host_is_that_host_s(simulated: Simulate, tmp_path: Path) -> None:
    """Other hosts go on; the error names the file."""
    hosts = simulated(2)
    file = tmp_path / "config"
    file.write_text(f"Host {hosts.listening['linux-1'][0]}\n  CanonicalizeHostname yes\n  CanonicalizeMaxDots many\n")
    hosts.set_ssh(config_file=str(file))
    done = hosts.command(VERIFY, "--verbose")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{file}: invalid literal for int() with base 10: 'many'" in " ".join(done.stdout.split())
    assert hosts.state("master-1")["counters"]["logins"] == 1


def test_a_state_folder_that_cannot_be_made_ends_the_run(simulated: Simulate) -> None:
    """It is needed for the lock, before anything else."""
    hosts = simulated(2)
    hosts.state_folder.parent.mkdir(parents=True)
    hosts.state_folder.write_text("in the way")
    assert f"state folder {hosts.state_folder}/simulated cannot be written to" in refused(hosts, BOOTSTRAP)


@pytest.mark.parametrize("key", ["known_hosts", "config_file"])
def test_a_wrong_file_for_a_master_outside_the_selection_ends_the_run(simulated: Simulate, key: str) -> None:
    """The master is connected to for the lock alone: what is wrong is not taken for a master that is down."""
    hosts = simulated(2)
    file, inventory = hosts.folder / "damaged", hosts.inventory / "hosts.yaml"
    file.write_text("Nonsense\nh ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\n")
    entries = yaml.safe_load(inventory.read_text())
    entries["master-1"]["data"]["ssh"] = {key: str(file)}
    inventory.write_text(yaml.safe_dump(entries))
    assert f"{file}, line " in refused(hosts, BOOTSTRAP, "--host", "linux-1")
