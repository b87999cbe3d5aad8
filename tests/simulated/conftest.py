"""A factory of simulated hosts: real SSH servers in a process of their own, and their inventory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from simulating import Simulate, Simulated

from plugins.simulate.cluster import Options


@pytest.fixture
def simulated() -> Iterator[Simulate]:
    """Make simulated hosts; takes the fields of plugins.simulate.cluster.Options. All stop with the test."""
    with ExitStack() as stack:

        def make(count: int = 3, windows: int = 0, faults: tuple[str, ...] = (), **options: object) -> Simulated:
            wanted = replace(Options(count=count, windows=windows, faults=tuple(faults)), **options)
            return stack.enter_context(Simulated(wanted))

        yield make
