"""One host's folder: locks, console, disk, processes."""

from __future__ import annotations

import os
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from plugins.errors import LockedError
from plugins.lab.console import ConsoleLog
from plugins.lab.host import HostFolder, Run, Spec, all_hosts, overlay_options
from plugins.lab.inside import fingerprint
from plugins.lab.keys import known_hosts_lines
from plugins.lab.lock import is_held, is_in_use, locked
from plugins.lab.options import LabPaths
from plugins.lab.processes import leader_of
from plugins.lab.seed import Seed, write_disk

ROOT = Path(__file__).resolve().parents[2]
SPEC = Spec("linux-1", 3, "labbr0", ("/i/packages-1", "/i/base-1"))


def test_what_a_host_is_and_how_it_runs_is_read_back(tmp_path: Path) -> None:
    """Both notes come back as they were; a host that was never made has neither."""
    folder = HostFolder(tmp_path / "linux-1")
    assert (folder.read_spec(), folder.read_run()) == (None, Run())
    run = Run(supervisor=7, groups=("/sys/fs/cgroup/x",)).booted(9, 12.5)
    folder.write_spec(SPEC)
    folder.write_run(run)
    assert (folder.read_spec(), folder.read_run()) == (SPEC, run)
    assert [found.name for found in all_hosts(tmp_path)] == ["linux-1"]
    assert list(all_hosts(tmp_path / "none")) == []


def test_names_on_the_machine_carry_the_bridges_name() -> None:
    """Two labs on one machine do not meet."""
    assert (SPEC.port, SPEC.machine) == ("labbr0-3", "labbr0-linux-1")


def test_a_disk_without_its_image_is_no_disk(tmp_path: Path) -> None:
    """A host whose image was deleted has to be made anew."""
    folder, layer = HostFolder(tmp_path / "a"), tmp_path / "layer"
    folder.write_spec(Spec("a", 2, "labbr0", (str(layer),)))
    folder.changes.mkdir(parents=True)
    assert not folder.has_disk
    layer.mkdir()
    assert folder.has_disk
    assert overlay_options([str(layer)], folder.path / "disk").startswith(f"lowerdir={layer},upperdir=")


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    """Another process's lock is seen and named; when it is killed the lock is free, although its file is there."""
    path = tmp_path / "lock"
    code = (
        "import pathlib, sys; from plugins.lab.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), 'it'): print(1, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"1\n"
        assert is_held(path)
        with pytest.raises(LockedError, match=f"process {holder.pid} since"), locked(path, "the lab"):
            pass
        holder.kill()
    assert path.exists()
    assert not is_held(path)
    with locked(path, "the lab"):
        assert is_in_use(path)


def test_a_console_log_never_outgrows_two_files(tmp_path: Path) -> None:
    """A full file takes the place of the one before; the last bytes are always there."""
    log = ConsoleLog(tmp_path / "console.log", limit=100)
    for number in range(50):
        log.write(f"line {number:04}\n".encode())
    read, write = os.pipe()
    log.copy(read)
    os.write(write, b"." * 300 + b"the end\n")
    os.close(write)
    log.close()
    sizes = [file.stat().st_size for file in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 100
    assert (tmp_path / "console.log").read_bytes().endswith(b"the end\n")


def make_process(proc: Path, number: int, status: str, *, children: str = "") -> None:
    task = proc / str(number) / "task" / str(number)
    task.mkdir(parents=True)
    (proc / str(number) / "status").write_text(status)
    (task / "children").write_text(children)


def test_a_hosts_first_process_is_the_child_that_is_1_inside(tmp_path: Path) -> None:
    """A helper of systemd-nspawn that lives in the machine's own process namespace is not taken for it."""
    make_process(tmp_path, 50, "NSpid:\t50\n", children="51 52 53 ")
    make_process(tmp_path, 51, "Name:\thelper\nNSpid:\t51\n")
    make_process(tmp_path, 52, "Name:\tsystemd\nNSpid:\t52\t1\n")
    assert leader_of(50, tmp_path) == 52
    assert leader_of(99, tmp_path) == 0


def test_a_bare_disk_holds_the_seeds_with_the_images_folder_modes(tmp_path: Path) -> None:
    """A folder on the disk hides its image's mode and owner, so it must have the same."""
    layer, disk = tmp_path / "layer", tmp_path / "disk"
    (layer / "etc").mkdir(parents=True)
    (layer / "home/operator/.ssh").mkdir(parents=True)
    (layer / "home/operator/.ssh").chmod(0o700)
    (layer / "home").chmod(0o751)
    me = f"x:{os.getuid()}:{os.getgid()}:::"
    (layer / "etc/passwd").write_text(f"root:{me}\noperator:{me}\n")
    write_disk(
        disk,
        [layer],
        [Seed("etc/hostname", b"a\n"), Seed("home/operator/.ssh/authorized_keys", b"k", 0o600, "operator")],
    )
    upper = disk / "upper"
    modes = {str(path.relative_to(upper)): path.stat().st_mode & 0o777 for path in upper.rglob("*")}
    assert modes["home"] == 0o751
    assert modes["home/operator/.ssh"] == 0o700
    assert modes["home/operator/.ssh/authorized_keys"] == 0o600
    assert upper.stat().st_mode & 0o777 == 0o755
    assert (upper / "etc/hostname").read_text() == "a\n"


def test_a_fingerprint_tells_content_mode_and_links_apart(tmp_path: Path) -> None:
    """Anything written shows, logs aside; the same files twice give the same answer."""
    upper = HostFolder(LabPaths(tmp_path).host("a")).changes
    (upper / "var/log").mkdir(parents=True)
    (upper / "etc").mkdir()
    file = upper / "etc/file"
    file.write_text("one")
    first = fingerprint(tmp_path, "a")
    (upper / "var/log/syslog").write_text("noise")
    assert fingerprint(tmp_path, "a") == first
    seen = [first]
    file.chmod(0o600)
    seen.append(fingerprint(tmp_path, "a"))
    file.write_text("two")
    seen.append(fingerprint(tmp_path, "a"))
    file.unlink()
    file.symlink_to("elsewhere")
    seen.append(fingerprint(tmp_path, "a"))
    assert len({look["etc/file"] for look in seen}) == 4


def test_known_hosts_lines_leave_the_comment_out() -> None:
    """Address, type and key, as sshd's public key files have them."""
    assert known_hosts_lines(IPv4Address("10.142.0.2"), ["ssh-ed25519 AAAA root@image\n"]) == [
        "10.142.0.2 ssh-ed25519 AAAA"
    ]
