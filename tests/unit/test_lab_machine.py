"""Whether a machine can run a lab, and what it tells the hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.errors import UsageError
from plugins.lab.machine import distribution, find_datapath, nameservers, refuse_unless_able

BOOKWORM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_CODENAME=bookworm\n'
NOBLE = 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n'
MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n'
FEDORA = 'ID=fedora\nVERSION_ID=42\nVERSION_CODENAME=""\n'


@pytest.mark.parametrize(
    ("text", "found"),
    [(BOOKWORM, ("Debian", "bookworm")), (NOBLE, ("Ubuntu", "noble")), (MINT, ("Ubuntu", "noble")), (FEDORA, None)],
    ids=["debian", "ubuntu", "a derivative of Ubuntu", "another Linux"],
)
def test_the_distribution_is_read_from_os_release(text: str, found: tuple[str, str] | None) -> None:
    """Derivatives count as what they derive from, with that one's codename."""
    assert distribution(text) == found


@pytest.mark.parametrize(
    ("system", "user", "text", "said"),
    [
        ("Darwin", 0, BOOKWORM, "this is Darwin"),
        ("Linux", 0, FEDORA, "this Linux is neither"),
        ("Linux", 1000, BOOKWORM, "needs root"),
    ],
)
def test_a_machine_that_cannot_is_refused_with_the_other_way(
    tmp_path: Path, system: str, user: int, text: str, said: str
) -> None:
    """The refusal says why, and which command needs neither root nor Debian."""
    (tmp_path / "os-release").write_text(text)
    with pytest.raises(UsageError) as refused:
        refuse_unless_able(system=system, user=user, os_release=tmp_path / "os-release")
    assert said in str(refused.value)
    assert "python -m runbooks.simulate --count 3 -- python -m runbooks.bootstrap" in str(refused.value)


def test_a_machine_that_can_is_named(tmp_path: Path) -> None:
    """Root on Debian is enough."""
    (tmp_path / "os-release").write_text(BOOKWORM)
    assert refuse_unless_able(system="Linux", user=0, os_release=tmp_path / "os-release") == ("Debian", "bookworm")


def test_name_servers_that_only_the_machine_reaches_are_left_out(tmp_path: Path) -> None:
    """A stub on loopback is passed over for the servers behind it; a file that is not there is no error."""
    stub, behind = tmp_path / "stub", tmp_path / "behind"
    stub.write_text("# stub\nnameserver 127.0.0.53\noptions edns0\n")
    behind.write_text("nameserver 192.0.2.53\nnameserver fd00::53\nnameserver 192.0.2.53\nsearch example\n")
    assert nameservers((stub, behind, tmp_path / "none")) == ["192.0.2.53"]
    assert nameservers((stub,)) == []


@pytest.mark.parametrize(
    ("modules", "datapath"),
    [(("openvswitch", "geneve"), "system"), (("openvswitch",), "netdev"), ((), "netdev")],
)
def test_the_kernels_datapath_is_used_only_with_both_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modules: tuple[str, ...], datapath: str
) -> None:
    """Without geneve in the kernel no tunnel works, whatever openvswitch can do."""
    monkeypatch.setenv("PATH", str(tmp_path))  # no modprobe
    for module in modules:
        (tmp_path / module).mkdir()
    assert find_datapath(tmp_path) == datapath
