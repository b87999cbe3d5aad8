"""The bootstrap on real hosts: a story in two lives of three bare machines, to be read, and run, from top to bottom."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from operating import Cluster

from plugins.lab import full_disk, unplugged

pytestmark = pytest.mark.lab


def test_a_dry_run_on_bare_hosts_writes_nothing(cluster: Cluster) -> None:
    """Everything would change, no file of any host does, and the operator has no authority, key or lock of it."""
    before = cluster.disks()
    ran = cluster.run("bootstrap", "--dry-run")
    assert (ran.status, set(ran.hosts.values())) == (0, {"would-change"}), ran.text
    assert cluster.disks() == before
    assert list(cluster.state.rglob("*")) == []


def test_bare_hosts_become_an_overlay(cluster: Cluster) -> None:
    """One command: every host changes, nothing fails, and the overlay is verified at its end."""
    ran = cluster.run("bootstrap")
    assert (ran.status, set(ran.hosts.values()), ran.count("failed")) == (0, {"changed"}, 0), ran.text
    for name in cluster.hosts:
        stages = ran.stages(name)
        assert {stages[each] for each in ("install", "bridge", "certificates", "join")} == {"changed"}, ran.text
        assert {stages[each] for each in ("inspect", "verify")} == {"ok"}, ran.text
    assert len(cluster.authorities()) == 1


def test_the_second_time_changes_nothing(cluster: Cluster) -> None:
    """All steps are ok, and not one file of a host is written; nor is it by a dry run after that."""
    cluster.overlay()
    before = cluster.disks()
    ran = cluster.run("bootstrap")
    assert (ran.status, set(ran.hosts.values()), ran.count("changed")) == (0, {"ok"}, 0), ran.text
    dry = cluster.run("bootstrap", "--dry-run")
    assert (dry.status, set(dry.hosts.values()), dry.count("would-change")) == (0, {"ok"}, 0), dry.text
    assert cluster.disks() == before


def test_a_healthy_overlay_is_verified(cluster: Cluster) -> None:
    """It looks, finds nothing, and writes nothing."""
    cluster.overlay()
    before = cluster.disks()
    ran = cluster.run("verify")
    assert (ran.status, set(ran.hosts.values()), ran.count("failed")) == (0, {"ok"}, 0), ran.text
    assert cluster.disks() == before


def test_a_worker_without_its_cable_stops_nobody_else(cluster: Cluster) -> None:
    """It is unreachable and named, the others are ok; with the cable in again the same command ends well."""
    cluster.overlay()
    with unplugged(cluster.lab.folder, "linux-2"):
        ran = cluster.run("bootstrap")
    assert (ran.status, ran.hosts) == (1, {"master": "ok", "linux-1": "ok", "linux-2": "unreachable"}), ran.text
    assert "UNREACHABLE  linux-2" in ran.text
    mended = cluster.run("bootstrap")
    assert (mended.status, set(mended.hosts.values())) == (0, {"ok"}), mended.text


def test_a_host_that_is_another_one_is_refused(cluster: Cluster) -> None:
    """With linux-1's host key under linux-2's address nothing is sent there, and the words say what differs."""
    addresses = {host.name: str(host.address) for host in cluster.lab.hosts}
    keys = [line.split(maxsplit=1) for line in cluster.lab.paths.known_hosts.read_text().splitlines()]
    wrong = [f"{addresses['linux-2']} {key}" for address, key in keys if address == addresses["linux-1"]]

    def change(inventory: Path) -> None:
        (inventory / "known_hosts").write_text("\n".join(wrong) + "\n")
        defaults = (inventory / "defaults.yaml").read_text()
        (inventory / "defaults.yaml").write_text(
            defaults.replace(str(cluster.lab.paths.known_hosts), str(inventory / "known_hosts"))
        )

    with cluster.other_inventory(change) as inventory:
        ran = cluster.run("bootstrap", "--only", "preflight", "--host", "linux-2", inventory=inventory)
    assert (ran.status, ran.host("linux-2")) == (1, "unreachable"), ran.text
    assert "host key" in ran.text


def test_workers_behind_the_master_are_reached_through_it(cluster: Cluster) -> None:
    """By ProxyJump, with ssh itself in between, under the names that the SSH configuration has for them."""
    cluster.overlay()
    addresses = {host.name: str(host.address) for host in cluster.lab.hosts}
    paths = cluster.lab.paths

    def change(inventory: Path) -> None:
        (inventory / "ssh_config").write_text(
            f"Host w*\n  ProxyJump operator@{addresses['master']}\n"
            f"Host w1\n  HostName {addresses['linux-1']}\nHost w2\n  HostName {addresses['linux-2']}\n"
            f"Host *\n  IdentityFile {paths.key_file}\n  UserKnownHostsFile {paths.known_hosts}\n"
        )
        defaults, hosts = inventory / "defaults.yaml", inventory / "hosts.yaml"
        defaults.write_text(defaults.read_text().replace("  ssh:\n", "  ssh:\n    config_file: ssh_config\n"))
        text = hosts.read_text()
        for number in (1, 2):
            text = text.replace(f"hostname: {addresses[f'linux-{number}']}\n", f"hostname: w{number}\n")
        hosts.write_text(text)

    with cluster.other_inventory(change) as inventory:
        ran = cluster.run("bootstrap", inventory=inventory)
        assert (ran.status, set(ran.hosts.values())) == (0, {"ok"}), ran.text
    accepted = cluster.shell("linux-1", "journalctl -b -t sshd -t sshd-session -o cat | grep Accepted | tail -1")
    assert f"from {addresses['master']} port" in accepted


def test_a_host_that_turns_this_machine_away_is_waited_for(cluster: Cluster) -> None:
    """Who asked for an sshd's greeting too often without a login is let in again after 15 s, and the run goes on."""
    cluster.overlay()
    address = next(str(host.address) for host in cluster.lab.hosts if host.name == "linux-2")
    for _ in range(100):
        with socket.create_connection((address, 22), timeout=5) as line:
            if line.recv(4) != b"SSH-":
                break
    else:
        pytest.skip("this host's sshd turns nobody away: it is older than OpenSSH 9.8")
    ran = cluster.run("verify", "--host", "linux-2")
    assert (ran.status, ran.host("linux-2")) == (0, "ok"), ran.text


def test_a_reboot_brings_the_chassis_back(cluster: Cluster) -> None:
    """A new boot id, seen by the runbook; and after it the overlay is whole without a hand on the host."""
    cluster.overlay()
    boots = cluster.boots()
    ran = cluster.run("bootstrap", "--reboot", "always", "--host", "linux-2")
    assert (ran.status, ran.host("linux-2")) == (0, "changed"), ran.text
    assert "reboot" in [step["name"] for step in ran.all_steps("linux-2") if step["status"] == "changed"], ran.text
    after = cluster.boots()
    assert {name for name in boots if boots[name] != after[name]} == {"linux-2"}
    verified = cluster.run("verify")
    assert verified.status == 0, verified.text


def test_a_full_disk_is_said_and_mended(cluster: Cluster) -> None:
    """Bare again, and sudo asks for a password now: apt has no space, and its words are shown."""
    cluster.renew(sudo_password=True)
    with full_disk(cluster.lab.folder, "linux-2", "/var/cache/apt/archives"):
        ran = cluster.run("task", "install", "--host", "linux-2")
    assert (ran.status, ran.stages("linux-2")["install"]) == (1, "failed"), ran.text
    assert "/var/cache/apt/archives" in ran.text
    assert "space" in ran.text
    mended = cluster.run("task", "install", "--host", "linux-2")
    assert (mended.status, mended.stages("linux-2")["install"]) == (0, "changed"), mended.text


def test_a_wrong_sudo_password_is_one_attempt(cluster: Cluster) -> None:
    """The host is left alone, and the words say which password; none of them is the password."""
    word = cluster.folder / "wrong-password"
    word.touch(mode=0o600)
    word.write_text("not-the-one\n")

    def change(inventory: Path) -> None:
        defaults = (inventory / "defaults.yaml").read_text()
        (inventory / "defaults.yaml").write_text(defaults.replace(str(cluster.lab.paths.sudo_password), str(word)))

    with cluster.other_inventory(change) as inventory:
        ran = cluster.run("bootstrap", "--only", "preflight", "--host", "linux-1", inventory=inventory)
    assert (ran.status, ran.host("linux-1")) == (1, "unreachable"), ran.text
    assert "sudo" in ran.text
    assert "not-the-one" not in ran.text


def test_a_killed_run_is_taken_up_again(cluster: Cluster) -> None:
    """Killed when the authority is just made and hosts install, and again among bridges: the third run ends well."""

    def changed(stage: str) -> Callable[[str], bool]:
        return lambda line: line.split()[2:4] == [stage, "changed"]

    cluster.kill_at(changed("authority"), "bootstrap")
    (made,) = cluster.state.rglob("ca.pem")
    before = made.read_bytes()
    said = cluster.kill_at(changed("bridge"), "bootstrap")
    assert "FAILED" not in said
    ran = cluster.run_when_free("bootstrap")
    assert (ran.status, ran.count("failed")) == (0, 0), ran.text
    assert (made.read_bytes(), list(cluster.state.rglob("ca.pem"))) == (before, [made])
    assert cluster.authorities() == {hashlib.sha256(before.strip()).hexdigest()}
    again = cluster.run("bootstrap")
    assert (again.status, again.count("changed")) == (0, 0), again.text
