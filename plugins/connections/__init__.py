"""Shells to hosts: which transport a host has, opened when first needed, closed from any thread."""

from __future__ import annotations

import importlib
import random
import threading
import time
from collections.abc import Iterable
from typing import cast

from nornir.core.exceptions import ConnectionNotOpen
from nornir.core.inventory import Host
from nornir.core.plugins.connections import ConnectionPluginRegister
from nornir.core.task import Task

from plugins.connections.base import Shell
from plugins.context import RunContext, context_of
from plugins.errors import BusyError, UnreachableError
from plugins.inventory import host_settings
from plugins.inventory.model import HostSettings

# Imported when a host first needs it: netmiko alone takes a third of a second.
_PLUGINS = {
    "ssh": ("plugins.connections.ssh", "Ssh"),
    "winrm": ("plugins.connections.winrm", "Winrm"),
    "memory": ("plugins.connections.memory", "Memory"),
}
_register_lock = threading.Lock()


def _register(transport: str) -> str:
    """Register a transport with Nornir under a name of our own: all of Nornir's registers share one dict."""
    name = f"runbooks-{transport}"
    with _register_lock:
        if name not in ConnectionPluginRegister.available:
            module, attribute = _PLUGINS[transport]
            ConnectionPluginRegister.register(name, getattr(importlib.import_module(module), attribute))
    return name


def shell_of(task: Task) -> Shell:
    """Give the open shell of the task's host; connect first where there is none yet. Raises UnreachableError."""
    return open_shell(task.host, context_of(task))


def open_shell(host: Host, context: RunContext, *, again: bool = False) -> Shell:
    """Give the open shell of `host`; connect first where there is none yet. Raises UnreachableError.

    A host that was not reached a moment ago is not tried again at once, unless `again` asks for it: whoever
    needs it next would only wait for the same time-out. One that takes nobody for the moment is asked a little
    longer, unless the caller tries `again` by itself.
    """
    settings = host_settings(host)
    name = _register(settings.transport)
    with _open_lock(host.name):
        if name not in host.connections:
            if context.stop.is_set():
                raise UnreachableError(host.name, "connect", "the run was stopped", "run again")
            failed, error = _failures.get((context.run_id, host.name), (0.0, None))
            if error is not None and not again and time.monotonic() - failed < _REMEMBERED:
                raise error
            try:
                _connect_in_turn(host, name, settings, context, 0.0 if again else _PATIENCE)
            except UnreachableError as failure:
                _failures[context.run_id, host.name] = (time.monotonic(), failure)
                raise
        return cast("Shell", host.connections[name].connection)


def check_files(hosts: Iterable[Host], context: RunContext) -> None:
    """Read the files of this machine that connections to these hosts need. Raises UsageError for what is wrong there.

    Connections read them, too, each when it is made; that all is well is known before any host is touched.
    """
    reached = [host for host in hosts if host_settings(host).transport == "ssh"]
    if not reached:
        return
    _register("ssh")
    from plugins.connections.ssh_config import check_config  # noqa: PLC0415  # paramiko is slow to import

    for file in {host_settings(host).ssh.config_file for host in reached}:
        check_config(file)
    for host in reached:
        _host_keys("ssh", host, context)


def _connect_in_turn(host: Host, name: str, settings: HostSettings, context: RunContext, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            return _connect(host, name, settings, context)
        except BusyError:
            # Many that were turned away together should not come back together.
            if time.monotonic() > until or context.stop.wait(random.uniform(0.5, 2.0)):  # noqa: S311
                raise


def _connect(host: Host, name: str, settings: HostSettings, context: RunContext) -> None:
    extras = {"settings": settings, "store": _host_keys(settings.transport, host, context)}
    host.open_connection(
        name,
        configuration=None,  # type: ignore[arg-type]  # ours take nothing from it
        hostname=host.hostname,
        username=host.username,
        password="",
        port=host.port,
        platform=host.platform or "",
        extras=extras,
        default_to_host_attributes=False,
    )


_REMEMBERED = 10.0  # seconds
_PATIENCE = 20.0  # seconds; sshd turns away for 15 at the least (sshd_config(5), PerSourcePenalties)
_failures: dict[tuple[str, str], tuple[float, UnreachableError]] = {}
_open_locks: dict[str, threading.Lock] = {}


def _open_lock(host: str) -> threading.Lock:
    """One connection a host, also when a look and a stage want it at the same moment."""
    with _register_lock:
        return _open_locks.setdefault(host, threading.Lock())


def close_shell(host: Host) -> None:
    """Close the host's connection, if it has one; safe from any thread, more than once."""
    for name in list(host.connections):
        try:
            host.close_connection(name)
        except (ConnectionNotOpen, KeyError, OSError):
            continue


def reopen_shell(task: Task, deadline: float, pause: float = 2.0) -> Shell:
    """Connect anew, trying again until `deadline` seconds are over; raises the last UnreachableError."""
    until = time.monotonic() + deadline
    stop = context_of(task).stop
    while True:
        close_shell(task.host)
        try:
            return open_shell(task.host, context_of(task), again=True)
        except UnreachableError:
            if time.monotonic() >= until or stop.wait(pause):
                raise


_stores: dict[object, object] = {}
_stores_lock = threading.Lock()


def _host_keys(transport: str, host: Host, context: RunContext) -> object:
    """One store for all hosts with the same settings, so that its files are read once."""
    if transport != "ssh":
        return None
    from plugins.connections.hostkeys import HostKeyStore  # noqa: PLC0415  # paramiko is slow to import

    ssh = host_settings(host).ssh
    accept = context.state_folder / "known_hosts" if ssh.host_keys == "accept-new" else None
    key = (context.run_id, ssh.known_hosts, accept)
    with _stores_lock:
        if key not in _stores:
            _stores[key] = HostKeyStore([ssh.known_hosts.expanduser()], accept, record=not context.dry_run)
        return _stores[key]
