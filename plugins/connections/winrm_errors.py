"""What pywinrm, requests, TLS and the host's WinRM service say when something is wrong, in words of our own."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import requests
from spnego.exceptions import SpnegoError
from winrm.exceptions import (
    InvalidCredentialsError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)

from plugins.connections.winrm_login import Login

LOST = (
    *(requests.RequestException, WinRMError, WinRMTransportError, SpnegoError, OSError),
    # An answer that is none: pywinrm takes it apart without looking.
    *(ET.ParseError, ValueError, LookupError, AttributeError, AssertionError, StopIteration, struct.error),
)
"""All that a request may raise, a host that answers late (WinRMOperationTimeoutError) aside."""
ERRORS = (*LOST, WinRMOperationTimeoutError)

SHELL_GONE = 2150858843
OPERATION_ABORTED = 995
TOO_MANY_OPERATIONS = (2150859174, 2150859240, 2150859241)
TOO_MANY_SHELLS = (2150859173, 2150859179, 2150859236, 2150859237, 2150859238)
ACCESS_DENIED = 5

_IGNORE = "or write winrm: {server_certificate: ignore} (then anybody may answer in its place)"
_CA = "write the PEM file of its CA, or of the certificate itself, into winrm.ca_file"
_CERTIFICATES = {
    9: ("is not valid yet", "is the clock here right?"),
    10: ("has expired", f"give the host a new certificate, {_IGNORE}"),
    18: ("is self-signed, and not known", f"{_CA}, {_IGNORE}"),
    19: ("comes from a CA that is not known", f"{_CA}, {_IGNORE}"),
    20: ("comes from a CA that is not known", f"{_CA}, {_IGNORE}"),
    21: ("comes from a CA that is not known", f"{_CA}, {_IGNORE}"),
    62: (
        "is for another name",
        f"write a name that it has as `hostname`, give the host another certificate, {_IGNORE}",
    ),
    64: (
        "is for another address",
        f"write a name that it has as `hostname`, give the host another certificate, {_IGNORE}",
    ),
}
_UP = "is the host up, the address right, and its WinRM listener there? (docs/windows.md)"


def chain(error: BaseException) -> Iterator[BaseException]:
    """Go from an error to those that it came from: requests and urllib3 wrap them several times."""
    pending, seen = [error], set()
    while pending:
        one = pending.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            inner = (getattr(one, "reason", None), one.__cause__, one.__context__, *getattr(one, "args", ()))
            pending += [each for each in inner if isinstance(each, BaseException)]


def words(error: BaseException) -> str:
    """Say in a few words what happened to a connection."""
    causes = list(chain(error))
    if any(isinstance(each, TimeoutError | requests.Timeout) for each in causes):
        return "no answer in time"
    if isinstance(error, WSManFaultError | WinRMTransportError | WinRMError | WinRMOperationTimeoutError):
        return _said(error)
    for each in causes:
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
    return "the host or the network dropped it"


def explain(error: BaseException, login: Login) -> tuple[str, str]:
    """Say what was seen and what to do about a connection that did not come up, or a request that was refused."""
    causes = list(chain(error))
    found = next(filter(None, (_tls_or_name(each, login.target) for each in causes)), None)
    if found is None:
        found = _answer(error, login) or _timeout(error, login)
    if found is not None:
        return found
    system = next((each for each in causes if isinstance(each, OSError) and each.strerror), None)
    if system is not None:
        return f"{login.target}: {system.strerror}", _UP
    if isinstance(error, requests.ConnectionError):
        return f"{login.target} dropped the connection without an answer", _UP
    seen = f"{login.target} answers with something that is not WS-Management"
    return seen, "is this a WinRM listener? (docs/windows.md)"


def _tls_or_name(cause: BaseException, target: str) -> tuple[str, str] | None:
    match cause:
        case ssl.SSLCertVerificationError():
            what, todo = _CERTIFICATES.get(cause.verify_code, (f"is refused ({cause.verify_message})", _CA))
            return f"the certificate of {target} {what}", todo
        case ssl.SSLError():
            seen = f"{target} does not speak TLS as expected ({cause.reason or cause.strerror or 'no reason given'})"
            return seen, "is this the port of the HTTPS listener (5986)?"
        case socket.gaierror():
            return f"the name in {target} does not resolve", "correct `hostname` in the inventory, or the resolver"
    return None


def _answer(error: BaseException, login: Login) -> tuple[str, str] | None:
    match error:
        case InvalidCredentialsError():
            return _refused(login)
        case WSManFaultError():
            return _fault(error, login)
        case WinRMTransportError():
            return f"{login.target} answered with HTTP status {error.code}", _by_status(error.code, login)
        case WinRMOperationTimeoutError():
            return f"{login.target} did not carry the request out in time", "is the host overloaded? run again"
        case SpnegoError() | PermissionError():
            return f"{login.target} takes no login by {login.settings.authentication}", (
                "enable it there (winrm get winrm/config/service/auth), or choose another winrm.authentication"
            )
    return None


def _timeout(error: BaseException, login: Login) -> tuple[str, str] | None:
    match error:
        case requests.exceptions.ProxyError():
            return f"the proxy of {login.target} cannot be used", "correct winrm.proxy, or leave it out"
        case requests.ConnectTimeout():
            return f"no answer from {login.target} within {login.settings.connect_timeout:g} s", _UP
        case requests.ReadTimeout():
            seen = f"{login.target} took the connection and said nothing for {login.settings.read_timeout} s"
            return seen, "is its WinRM service stuck? restart it, or raise winrm.read_timeout for a slow host"
    return None


def _refused(login: Login) -> tuple[str, str]:
    seen = f"{login.target} refused the login of {login.user} by {login.settings.authentication} (HTTP status 401)"
    match login.settings.authentication:
        case "certificate":
            return seen, "does the host map the certificate to a user (WSMan:\\localhost\\ClientCertificate)?"
        case "basic":
            return seen, "check username and winrm.password; and is Basic switched on there (it is off by default)?"
        case "kerberos":
            return seen, "get a ticket with kinit, and check that the host is reached by its name in the domain"
        case _:
            return seen, (
                "check username (HOST\\user or DOMAIN\\user) and winrm.password; may the user log in over the network?"
            )


def _by_status(code: int, login: Login) -> str:
    if code == 404:
        return "is this a WinRM listener? its path is /wsman"
    if code == 500 and login.settings.scheme == "http" and not login.settings.sealed:
        return "the host takes no unencrypted messages: leave winrm.message_encryption out, or use https"
    if code == 503:
        return "the WinRM service is starting or stopping: run again in a moment"
    return "look into the event log Microsoft-Windows-WinRM/Operational of the host, and run again"


def _fault(error: WSManFaultError, login: Login) -> tuple[str, str]:
    seen = f"{login.target}: {_said(error)}"
    code = error.wsman_fault_code
    if code in TOO_MANY_SHELLS:
        return seen, (
            "end shells that nobody uses (Restart-Service WinRM; they also end by themselves when idle), or raise "
            "MaxShellsPerUser (winrm set winrm/config/winrs)"
        )
    if code in TOO_MANY_OPERATIONS:
        return seen, "raise MaxConcurrentOperationsPerUser (winrm set winrm/config/service), or Restart-Service WinRM"
    if code == ACCESS_DENIED:
        return seen, (
            "may the user use WinRM? a local administrator other than the built-in one needs "
            "LocalAccountTokenFilterPolicy=1 (docs/windows.md)"
        )
    return seen, "look the fault code up, or into the event log Microsoft-Windows-WinRM/Operational of the host"


def _said(error: BaseException) -> str:
    match error:
        case WSManFaultError():
            reason = " ".join(str(error.reason).split())
            code = f"fault {error.wsman_fault_code}" if error.wsman_fault_code else f"fault {error.fault_subcode}"
            return f"{reason} (HTTP status {error.code}, {code})"
        case WinRMTransportError():
            return f"HTTP status {error.code}"
        case InvalidCredentialsError():
            return "the login was refused"
        case WinRMOperationTimeoutError():
            return "no answer in time"
        case _:
            return " ".join(str(error).split()) or type(error).__name__
