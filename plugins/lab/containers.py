"""What the machine that a lab runs on does not let its hosts do with containers."""

from __future__ import annotations

from pathlib import Path

SYS_RESOURCE = 24
"""The capability to lower an out-of-memory score, by its number in the kernel's linux/capability.h."""


def container_settings(
    status: Path = Path("/proc/self/status"), cgroups: Path = Path("/sys/fs/cgroup")
) -> dict[str, object]:
    """Give what the inventory must say about containers; nothing on a machine that is like any other."""
    settings: dict[str, object] = {}
    if not _may_lower_scores(status):
        settings["containerd"] = {"restrict_oom_score_adj": True}
    if not (cgroups / "cgroup.controllers").exists():
        settings["kubelet"] = {"failCgroupV1": False}
    return settings


def _may_lower_scores(status: Path) -> bool:
    effective = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> SYS_RESOURCE & 1)
