"""The cluster's real API, as one service of a Windows host asks it: over TLS, with that service's own certificate."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import requests

from plugins.lab.host import write_private
from plugins.lab.windows.given import Identity

SECONDS = 5
PATCH = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API did not do what it was asked for; `status` is HTTP's, 0 where nobody answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One client; `folder` is its own, for the files that its identity has to be in."""

    def __init__(self, identity: Identity, folder: Path) -> None:
        self._server = identity.server
        names = {"ca.pem": identity.authority, "pair.pem": f"{identity.pair.key}\n{identity.pair.certificate}"}
        for name, content in names.items():
            write_private(folder / name, content)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify, self._session.cert = str(folder / "ca.pem"), str(folder / "pair.pem")

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Do one request; the object that is answered. Raises ApiError."""
        return await asyncio.to_thread(self._ask, method, path, body)

    def _ask(self, method: str, path: str, body: object) -> dict[str, Any]:
        headers = {"Content-Type": PATCH if method == "PATCH" else "application/json", "Accept": "application/json"}
        try:
            answer = self._session.request(
                method, f"{self._server}{path}", json=body, headers=headers, timeout=SECONDS, allow_redirects=False
            )
            if answer.status_code >= requests.codes.multiple_choices:
                raise ApiError(answer.status_code, _said(answer))
            return dict(answer.json())
        except (requests.RequestException, OSError, ValueError) as error:
            raise ApiError(0, f"{method} {self._server}{path}: {error}") from None

    def close(self) -> None:
        """End the connections."""
        self._session.close()


def _said(answer: requests.Response) -> str:
    """What the API says of a refusal."""
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text.strip()[:300] or f"HTTP status {answer.status_code}"
