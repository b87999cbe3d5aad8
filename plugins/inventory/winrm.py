"""How a Windows host is reached over WinRM: the block `data.winrm`, and what in it does not go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StrictInt, StrictStr

from plugins.inventory.base import Model
from plugins.inventory.fields import Flag
from plugins.paths import LocatedPath
from plugins.secret import SecretSource

Authentication = Literal["ntlm", "basic", "certificate", "kerberos", "credssp"]
SEALING = ("ntlm", "kerberos", "credssp")
"""Ways to log in that bring keys for the messages themselves."""
WITH_PASSWORD = ("ntlm", "basic", "credssp")
PORTS = {"https": 5986, "http": 5985}


class WinrmSettings(Model):
    """How to reach a Windows host over WinRM."""

    authentication: Authentication = Field(
        default="ntlm",
        description="How to log in: ntlm, basic (the password itself, inside TLS), certificate, kerberos (a ticket of "
        "kinit) or credssp. The last two need an extra of pywinrm.",
    )
    password: SecretSource | None = Field(
        default=None, description="Where the password comes from; needed for ntlm, basic and credssp."
    )
    scheme: Literal["https", "http"] = Field(
        default="https", description="https, or http, where nothing proves that the host is the one that was meant."
    )
    ca_file: LocatedPath | None = Field(
        default=None,
        description="PEM file with the CA certificates that the host's certificate is checked against, or that "
        "certificate itself; none: the public CAs that Python's certifi brings.",
    )
    server_certificate: Literal["validate", "ignore"] = Field(
        default="validate",
        description="ignore: any certificate is taken, so that anybody may answer in the host's place.",
    )
    certificate_file: LocatedPath | None = Field(
        default=None, description="Client certificate (PEM) for certificate; the host maps it to a user."
    )
    key_file: LocatedPath | None = Field(
        default=None, description="Private key (PEM, without a passphrase) of certificate_file."
    )
    message_encryption: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether messages are encrypted beneath HTTP with the login's own keys; auto: over http only.",
    )
    allow_unencrypted: Flag = Field(
        default=False,
        description="Must be true for what anybody on the way can read: basic over http, or message_encryption: never.",
    )
    proxy: StrictStr | None = Field(
        default=None, description="URL of an HTTP proxy; none: no proxy, also where the environment names one."
    )
    connect_timeout: Annotated[float, Field(strict=True, gt=0, le=600)] = Field(
        default=15.0, description="Seconds to wait for the TCP connection."
    )
    operation_timeout: Annotated[StrictInt, Field(ge=1, le=60)] = Field(
        default=20, description="Seconds that the host may keep a request for output waiting; no limit for scripts."
    )
    read_timeout: Annotated[StrictInt, Field(ge=2, le=600)] = Field(
        default=30, description="Seconds without an answer after which the connection is taken for lost."
    )

    @property
    def default_port(self) -> int:
        """The port where none is written."""
        return PORTS[self.scheme]

    @property
    def sealed(self) -> bool:
        """Whether messages are encrypted beneath HTTP."""
        wanted = self.message_encryption == "always" or (self.message_encryption == "auto" and self.scheme == "http")
        return wanted and self.authentication in SEALING


def contradictions(settings: WinrmSettings) -> Iterator[tuple[str, str, str]]:
    """Yield key, problem and what to do for all that does not go together in one host's settings."""
    login, plain = settings.authentication, settings.scheme == "http"
    if login == "certificate":
        for key in ("certificate_file", "key_file"):
            if getattr(settings, key) is None:
                yield key, "missing, and authentication is certificate", "write the path of the PEM file"
        if plain:
            yield "scheme", "a client certificate needs https", "write https, or leave scheme out"
    elif plain and not settings.sealed and not settings.allow_unencrypted:
        what = f"{login} over http" + ("" if login == "basic" else " with message_encryption: never")
        todo = "write scheme: https; or allow_unencrypted: true, if anybody on the way may read passwords and scripts"
        yield "authentication", f"{what} can be read by anybody on the way", todo
    if settings.message_encryption == "always" and login not in SEALING:
        yield "message_encryption", f"{login} brings no keys to encrypt messages with", "write auto"
    if settings.read_timeout <= settings.operation_timeout:
        problem = f"{settings.read_timeout} s is not longer than operation_timeout ({settings.operation_timeout} s)"
        yield "read_timeout", problem, "raise it: the host answers late on purpose, by up to operation_timeout"
