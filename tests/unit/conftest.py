"""What several unit tests take."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """Give a device of the kind of /dev/full, which has no room; not that one, which the machine needs."""
    device = tmp_path / "full"
    try:
        os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 7))
        device.open("wb").close()
    except OSError as error:
        pytest.skip(f"no device can be made here: {error.strerror}")
    return device
