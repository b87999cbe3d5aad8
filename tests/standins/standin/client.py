"""The stand-in API's clients: each shows who it is, and believes only a server that its authority vouches for."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from standin import certificates
from standin.refusal import Refusal


class ApiError(Exception):
    """What the API answered instead; `status` is HTTP's, 0 when it was not reached."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Requests to one server as one user; `config` as documents.load_kubeconfig gives it."""

    def __init__(self, config: Mapping[str, str], timeout: float = 10) -> None:
        self.url, self.timeout = urlsplit(config["server"]), timeout
        self.token = config.get("token", "")
        self.context = ssl.create_default_context(cafile=config["certificate-authority"])
        if not self.token:
            self.context.load_cert_chain(config["client-certificate"], certificates.private(config["client-key"]))
        self.kept: http.client.HTTPSConnection | None = None

    def raw(self, method: str, path: str, body: Any = None) -> str:
        """The answer's text. Raises ApiError unless it is a good one."""
        content = json.dumps(body) if body is not None else None
        kept = self.kept is not None
        try:
            status, text = self._exchange(method, path, content)
        except ApiError as error:
            # The server ends connections that have been idle, and all of them when it starts anew.
            if not kept or error.status:
                raise
            status, text = self._exchange(method, path, content)
        if status >= 300:
            raise ApiError(status, text.strip())
        return text

    def _exchange(self, method: str, path: str, content: str | None) -> tuple[int, str]:
        host = self.url.hostname or ""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.kept is None:
            self.kept = http.client.HTTPSConnection(host, self.url.port, timeout=self.timeout, context=self.context)
        try:
            self.kept.request(method, path, content, headers)
            response = self.kept.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self.kept.close()
            self.kept = None
            if isinstance(error, ssl.SSLError):
                raise ApiError(0, f"tls: {error.reason or error}: {host}") from None
            raise ApiError(0, f"The connection to the server {self.url.netloc} was refused: {error}") from None

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The answer's object. Raises ApiError unless there is one."""
        return dict(json.loads(self.raw(method, path, body)))


def check_etcd(url: str, authority: str, certificate: str, key: str) -> None:
    """Raise Refusal unless etcd answers over TLS at `url` and says that it is healthy."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or not parts.port:
        raise Refusal(f"--etcd-servers: {url} is no https://ADDRESS:PORT")
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=5, context=context)
    try:
        connection.request("GET", "/health")
        answer = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Refusal(f"etcd at {url}: {error}") from None
    finally:
        connection.close()
    if str(answer.get("health")).lower() != "true":
        raise Refusal(f"etcd at {url}: {answer}")
