"""A runner of script bodies for the tests of the step library."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from scripting import Run, run_body


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a body as root; /run/ovn-runbooks is a folder below tmp_path."""
    if os.geteuid() != 0:
        pytest.skip("the step library needs root (in a mount namespace of its own)")
    folder = tmp_path / "run-ovn-runbooks"
    folder.mkdir()
    return partial(run_body, folder)
