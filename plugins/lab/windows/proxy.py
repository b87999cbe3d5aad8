"""A kube-proxy that programs no service: it asks the API for them as the real one would, and says whether it may."""

from __future__ import annotations

import asyncio

from plugins.lab.windows.agent import Agent
from plugins.lab.windows.api import Api, ApiError
from plugins.lab.windows.given import GivenError, document, identity, options
from plugins.simulate.host import SimulatedHost
from plugins.windows import KUBE_PROXY

ASKED = ("/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices")
LOOK_SECONDS = 2.0


class Proxy(Agent):
    """The service kube-proxy."""

    def __init__(self, host: SimulatedHost) -> None:
        given = options(host, KUBE_PROXY, "config")
        config = document(host, given["config"], "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration")
        if config.get("mode") != "kernelspace":
            raise GivenError(f"mode {config.get('mode')}: only kernelspace is supported on Windows")
        super().__init__(host, identity(host, config.get("clientConnection", {}).get("kubeconfig", "")))

    async def serve(self, api: Api) -> None:
        """List what it would turn into rules."""
        while True:
            try:
                for path in ASKED:
                    await api.ask("GET", path)
                self.why = ""
            except ApiError as error:
                self.why = str(error)
            await asyncio.sleep(LOOK_SECONDS)
