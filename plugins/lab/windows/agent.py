"""What the services of a lab's Windows host have in common: they read what they are given, and work until ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from plugins.lab.windows.api import Api
from plugins.lab.windows.given import Identity
from plugins.simulate.host import SimulatedHost


class Agent(ABC):
    """One service while it runs. Making one raises GivenError for what the real one would not start with.

    `why`: what it has not managed to do yet, in words; empty when all is done.
    """

    def __init__(self, host: SimulatedHost, identity: Identity) -> None:
        self.host, self.identity = host, identity
        self.why = "it has only just been started"

    async def work(self, folder: Path) -> None:
        """Work until cancelled; `folder` is for files of its own."""
        api = Api(self.identity, folder)
        try:
            await self.serve(api)
        finally:
            api.close()

    @abstractmethod
    async def serve(self, api: Api) -> None:
        """Do what the service is there for."""
