"""What a lab's inventory says about containers, by what its machine allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.lab.containers import container_settings

FULL, LESS = 0x1FFFFFFFFFF, 0x1FFFFFFFFFF & ~(1 << 24)
RESTRICTED = {"containerd": {"restrict_oom_score_adj": True}}
OLD_GROUPS = {"kubelet": {"failCgroupV1": False}}


@pytest.mark.parametrize(
    ("capabilities", "version", "said"),
    [(FULL, 2, {}), (LESS, 2, RESTRICTED), (FULL, 1, OLD_GROUPS), (LESS, 1, RESTRICTED | OLD_GROUPS)],
)
def test_only_what_a_machine_lacks_is_said(tmp_path: Path, capabilities: int, version: int, said: object) -> None:
    """A machine like any other gets nothing; one that may not lower scores, or has old control groups, gets that."""
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapPrm:\t0\nCapEff:\t{capabilities:016x}\nCapBnd:\t0\n")
    if version == 2:
        (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    assert container_settings(status, tmp_path) == said
