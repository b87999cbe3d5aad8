"""One lab for the tests of the runbooks: three bare hosts in a folder, on a bridge and in a network of their own."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

import pytest
from operating import Cluster

from plugins.errors import UsageError
from plugins.lab import LabOptions, down, up
from plugins.lab.options import default_folder


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers; nothing of them is left when the tests are done."""
    folder = tmp_path_factory.mktemp("cluster")
    options = LabOptions(
        folder=folder / "lab",
        inventory=folder / "inventory",
        workers=2,
        overlay_only=True,
        bridge="labtest5",
        network=IPv4Network("10.155.0.0/24"),
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
        yield Cluster(options, lab, folder)
    finally:
        down(options.folder, say=lambda _: None)
