"""Labs for the tests of the runbooks: three bare hosts in a folder, on a bridge and in a network of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from operating import Cluster

from plugins.errors import UsageError
from plugins.lab import LabOptions, down, up
from plugins.lab.options import default_folder
from plugins.settings import ROOT


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers for an overlay alone; nothing of them is left when the tests are done."""
    folder = tmp_path_factory.mktemp("cluster")
    with lab_of(folder, "labtest5", "10.155.0.0/24", overlay_only=True) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kubernetes_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real programs, where there is a mirror that holds some; else strict stand-ins."""
    if given := os.environ.get("KUBERNETES_MIRROR"):
        return Path(given).absolute()
    folder = tmp_path_factory.mktemp("standins")
    subprocess.run([sys.executable, ROOT / "tests" / "standins" / "mirror.py", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory, kubernetes_mirror: Path) -> Iterator[Cluster]:
    """A master, two workers and a simulated Windows host, bare, with all downloads pinned as the mirror has them."""
    folder = tmp_path_factory.mktemp("kubernetes")
    with lab_of(
        folder, "labtest6", "10.156.0.0/24", overlay_only=False, mirror=kubernetes_mirror, windows=1
    ) as cluster:
        cluster.pin()
        yield cluster


@contextmanager
def lab_of(
    folder: Path, bridge: str, network: str, *, overlay_only: bool, mirror: Path | None = None, windows: int = 0
) -> Iterator[Cluster]:
    """Three bare hosts, `windows` simulated ones more, and their operator, for as long as the context lasts."""
    options = LabOptions(
        folder=folder / "lab",
        inventory=folder / "inventory",
        workers=2,
        windows=windows,
        overlay_only=overlay_only,
        bridge=bridge,
        network=IPv4Network(network),
        images=default_folder() / "images",
    )
    try:
        lab = up(options, lambda _: None)
    except UsageError as error:
        pytest.skip(f"no lab can be here: {error}")
    except BaseException:
        down(options.folder, say=lambda _: None)
        raise
    try:
        yield Cluster(options, lab, folder, mirror)
    finally:
        down(options.folder, say=lambda _: None)
