"""What paramiko and the network say when a connection does not come up, in words of our own."""

from __future__ import annotations

import shlex
import socket

from plugins.connections import slim_paramiko as _first  # noqa: F401  # isort: skip  # before paramiko itself

import paramiko

from plugins.connections.hostkeys import HostKeyStore, UnknownHostKeyError, fingerprint
from plugins.connections.prompt_socket import PromptSocket
from plugins.connections.proxy_command import ProxyCommand
from plugins.connections.ssh_config import Way, ssh_words
from plugins.connections.ssh_shell import words
from plugins.inventory.model import HostSettings

_KNOWN = (UnknownHostKeyError, paramiko.BadHostKeyException, paramiko.AuthenticationException)
# OpenSSH's own words, of its server and, behind a proxy command, of its client. Since 9.8 the server turns away for
# a while whoever failed to log in a few times (sshd_config(5), PerSourcePenalties); any turns some away at random
# where many log in at once (MaxStartups).
_PENALTY, _STARTUPS, _DROPPED = "Not allowed at this time", "Exceeded MaxStartups", "kex_exchange_identification"


class NoKeyError(paramiko.SSHException):
    """The server waits for a login, and there is nothing here to log in with."""


class TurnedAwayError(paramiko.SSHException):
    """A server is there, the host's or that of a proxy, and takes no connection from this machine for the moment."""


class ProxyError(paramiko.SSHException):
    """Nothing came from the server through the proxy command."""


def cause_of(error: Exception, client: paramiko.SSHClient) -> Exception:
    """Tell apart what paramiko has one type for. Ask before the client is closed.

    Keys that are not there, or cannot be read; a server that takes nobody now; a proxy that does not get through;
    and a server that is none.
    """
    transport = client.get_transport()
    if transport is None or isinstance(error, _KNOWN):
        return error
    if transport.is_active() and transport.initial_kex_done:
        return NoKeyError(words(error))
    sock = transport.sock
    if transport.remote_version or not isinstance(sock, PromptSocket):
        return error
    greeting = sock.greeting.decode(errors="replace").strip()
    said = greeting or (sock.said if isinstance(sock, ProxyCommand) else "")
    if said.startswith((_PENALTY, _STARTUPS, _DROPPED)):
        return TurnedAwayError(said)
    if isinstance(sock, ProxyCommand) and not greeting:
        return ProxyError(f"{'ended' if sock.ended else 'let nothing through in time'}{': ' if said else ''}{said}")
    return paramiko.SSHException(f"it greets with {greeting[:80]!r}" if greeting else "it sends no greeting")


def explain(error: Exception, settings: HostSettings, store: HostKeyStore, way: Way) -> tuple[str, str]:
    """Say what was seen and what to do about a connection that did not come up."""
    target, user = way.target, way.user
    files = ", ".join(str(file) for file in (*store.files, store.accept_into) if file)
    match error:
        case UnknownHostKeyError():
            seen = f"the host key of {target} is not known ({fingerprint(error.key)})"
            how = f"compare it with the host's own and add it to {store.files[0]}"
            return seen, f"{how}, or write `ssh: {{host_keys: accept-new}}` into the inventory"
        case paramiko.BadHostKeyException():
            expected, got = fingerprint(error.expected_key), fingerprint(error.key)
            seen = f"the host key of {target} has changed: expected {expected}, got {got}"
            how = f"remove the old key with `ssh-keygen -R '{way.known_as}' -f FILE` ({files})"
            return seen, f"if the host was installed anew, {how}"
        case paramiko.PasswordRequiredException():
            return "the private key has a passphrase", "set ssh.key_passphrase, or load the key into an SSH agent"
        case paramiko.AuthenticationException():
            return f"{user}@{target} refused the login with {_offered(settings)}", (
                "check username, ssh.key_file and ssh.password"
            )
        case NoKeyError():
            seen = f"nothing to log in with at {target} as {user}: {_offered(settings)} ({error})"
            return seen, "check ssh.key_file, load a key into the SSH agent, or give ssh.password"
        case TurnedAwayError() | ProxyError():
            return _explain_no_greeting(error, target, settings)
        case socket.gaierror():
            return f"the name in {target} does not resolve", "correct `hostname` in the inventory, or the resolver"
        case TimeoutError():
            seen = f"no answer from {target} within {settings.ssh.connect_timeout:g} s"
            return seen, "is the host up, the address right, and the port open in the firewall?"
        case paramiko.ssh_exception.NoValidConnectionsError() | OSError():
            reasons = getattr(error, "errors", {}).values() or [error]
            seen = f"{target}: {'; '.join(sorted({words(one) for one in reasons}))}"
            return seen, "is the host up, and its SSH server?"
        case _:
            return f"{target}: {words(error)}", "is this an SSH server?"


def _explain_no_greeting(error: TurnedAwayError | ProxyError, target: str, settings: HostSettings) -> tuple[str, str]:
    said = str(error)
    if isinstance(error, ProxyError):
        seen = f"{target}: the proxy command of the SSH configuration {said}"
        how = shlex.join([*ssh_words(settings.ssh.config_file), "HOST"])
        return seen, f"`{how}` must get through there without asking anything"
    who = "the proxy before " if said.startswith(_DROPPED) else ""
    seen = f"{who}{target} takes no connection for now: {said}"
    if _PENALTY in said:
        return seen, "run again in a minute; the host's journal of sshd says what it holds against this machine"
    return seen, "run again; if many hosts are reached through one, raise MaxStartups in that one's sshd_config"


def _offered(settings: HostSettings) -> str:
    key = f"key {settings.ssh.key_file}" if settings.ssh.key_file else ""
    password = "the password" if settings.ssh.password else ""
    return " and ".join(filter(None, [key, password])) or "the agent's keys and those in ~/.ssh"
