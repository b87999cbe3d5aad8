"""One host's WinRM endpoint: a pywinrm Protocol that logs in as the inventory says, and nothing beyond that."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from requests.adapters import HTTPAdapter
from winrm import transport
from winrm.protocol import Protocol

from plugins.errors import UnreachableError
from plugins.inventory.winrm import WinrmSettings
from plugins.secret import Secret

# What these log may quote headers and messages.
for _name in ("winrm", "requests", "requests_ntlm", "requests_kerberos", "requests_credssp", "urllib3", "spnego"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False
_EXTRAS = {"kerberos": transport.HAVE_KERBEROS, "credssp": transport.HAVE_CREDSSP}


class _Line(HTTPAdapter):
    """Keeps one TCP connection to the host, as NTLM logs in a connection and not a request."""

    def __init__(self, connect: float, read: float) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self.connect, self.read = connect, read

    def send(self, *arguments: Any, **options: Any) -> Any:
        """Send one HTTP request, with these time limits."""
        return super().send(*arguments, **(options | {"timeout": (self.connect, self.read)}))


@dataclass(frozen=True)
class Login:
    """Where a host is reached, and how one logs in there."""

    host: str
    address: str
    port: int
    user: str
    settings: WinrmSettings
    password: Secret | None = field(default=None, repr=False)

    @property
    def target(self) -> str:
        """For messages."""
        return f"{self.address}:{self.port}"

    def check(self) -> None:
        """Raise UnreachableError where an extra of pywinrm is needed that is not installed."""
        kind = self.settings.authentication
        if not _EXTRAS.get(kind, True):
            seen = f"authentication: {kind} needs a module that is not installed here"
            raise UnreachableError(self.host, "connect", seen, f"run: pip install 'pywinrm[{kind}]', or choose ntlm")

    def _password(self) -> str:
        value = self.password.reveal() if self.password else ""
        # requests would send Latin-1, and fail for what it does not have.
        return value.encode().decode("latin-1") if self.settings.authentication == "basic" else value

    def protocol(self, limit: float | None = None) -> Protocol:
        """Make a Protocol; with `sealed` settings this logs in, else the first request does.

        `limit` is in seconds, for requests that must not take long. Raises pywinrm's and requests' errors.
        """
        settings = self.settings
        protocol = Protocol(
            endpoint=f"{settings.scheme}://{self.address}:{self.port}/wsman",
            transport=settings.authentication,
            username=self.user,
            password=self._password(),
            server_cert_validation=settings.server_certificate,
            ca_trust_path=str(settings.ca_file) if settings.ca_file else None,  # type: ignore[arg-type]  # None is documented
            cert_pem=str(settings.certificate_file) if settings.certificate_file else None,
            cert_key_pem=str(settings.key_file) if settings.key_file else None,
            operation_timeout_sec=settings.operation_timeout,
            read_timeout_sec=settings.read_timeout,
            message_encryption="never",  # set up below, when the session is as it should be
            proxy=settings.proxy,
        )
        session = protocol.transport.build_session()
        session.trust_env = False  # no passwords of ~/.netrc
        line = _Line(limit or settings.connect_timeout, limit or settings.read_timeout)
        session.mount(f"{settings.scheme}://", line)
        if settings.sealed:
            protocol.transport.setup_encryption(session)
        return protocol
