"""The steps of `up` and `down` that go over all hosts."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from plugins.errors import HostError, RunbookError
from plugins.lab import network
from plugins.lab.containers import container_settings
from plugins.lab.host import HostFolder, Spec, write_private
from plugins.lab.image import ensure_layers
from plugins.lab.inside import run_inside
from plugins.lab.inventory import inventory_files, write_inventory
from plugins.lab.keys import ensure_login_key, ensure_password, known_hosts_lines
from plugins.lab.machine import nameservers
from plugins.lab.options import USER, LabHost
from plugins.lab.parallel import each, raise_all
from plugins.lab.power import machine_has_systemd, start, stop
from plugins.lab.progress import Say, timed
from plugins.lab.ready import Power, look, not_up
from plugins.lab.recipe import Recipe
from plugins.lab.seed import seeds_for, write_disk
from plugins.lab.state import LabState
from plugins.lab.windows.make import make_windows, pin_made_up

SUDO_RULE = f"/etc/sudoers.d/90-{USER}"


def make_disks(lab: LabState, recipe: Recipe, say: Say, *, fresh: bool) -> None:
    """Bare disks for hosts that have none, or for all."""
    windows = [host for host in lab.hosts if host.windows and (fresh or not lab.host_folder(host).has_disk)]
    for host in windows:
        folder = lab.host_folder(host)
        stop(folder)
        folder.clear_disk()
        make_windows(lab, host, folder)
    if windows:
        say(f"bare simulated Windows hosts: {_names(windows)}")
    bare = [host for host in lab.hosts if not host.windows and (fresh or not lab.host_folder(host).has_disk)]
    if bare:
        layers = ensure_layers(lab.images, recipe, say)
        dns = nameservers()
        if not dns:
            say(f"this machine has only a name server of its own: hosts will ask at {lab.network.gateway}")
        login = ensure_login_key(lab.paths)

        def make(host: LabHost) -> None:
            folder = lab.host_folder(host)
            stop(folder)
            folder.clear_disk()
            folder.write_spec(_spec(lab, host, layers))
            write_disk(folder.path / "disk", layers, seeds_for(host, folder, lab.network, dns, login))

        doing = "switch off and make bare" if fresh else "bare disks for"
        with timed(say, f"{doing} {_names(bare)}"):
            each(bare, make)
    if used_layers(lab) != set(recipe.layers):
        say("the recipe of the image has changed since some hosts were made: `up --fresh` makes them anew")


def used_layers(lab: LabState) -> set[str]:
    """Names of the image layers that hosts of this lab stand on."""
    specs = [spec for host in lab.hosts if (spec := lab.host_folder(host).read_spec())]
    return {Path(layer).name for spec in specs for layer in spec.layers}


def start_all(lab: LabState, say: Say) -> None:
    """Start the hosts that are off, and put the cables of the others back into the bridge."""
    off = [host for host in lab.hosts if not lab.host_folder(host).is_supervised()]
    for host in lab.hosts:
        if host not in off:
            with contextlib.suppress(RunbookError):
                network.plug(lab.network, host.number)
    if not off:
        say("already up: every host runs")
        return
    with timed(say, f"start {_names(off)}"):
        each(off, lambda host: start(lab.host_folder(host)))


def publish(lab: LabState) -> None:
    """Write the inventory and the known host keys."""
    lines = []
    for host in lab.hosts:
        if host.windows:
            continue
        public = sorted((lab.host_folder(host).path / "keys/etc/ssh").glob("*.pub"))
        lines += known_hosts_lines(host.address, [file.read_text() for file in public])
    write_private(lab.paths.known_hosts, "".join(f"{line}\n" for line in lines))
    if lab.sudo_password:
        ensure_password(lab.paths.sudo_password)
    machine = {"datapath": lab.datapath, **container_settings()}
    asked = {"sudo_password": lab.sudo_password, "overlay_only": lab.overlay_only}
    files = inventory_files(lab.hosts, lab.network, lab.paths, machine, **asked)
    write_inventory(lab.inventory, files)
    if lab.windows and not lab.overlay_only:
        pin_made_up(lab.inventory)


def wait_all(lab: LabState, seconds: float, say: Say) -> None:
    """Wait until every host answers, and set how its sudo asks. Raises HostError when one does not come up."""
    waiting, errors = list(lab.hosts), list[HostError]()
    until = time.monotonic() + seconds
    with timed(say, f"wait for {_names(waiting)}"):
        # Rounds in this thread, so that Ctrl-C ends it at once.
        while waiting:
            for state in each(waiting, lambda host: look(lab.folder, host)):
                if state.up:
                    if not state.host.windows:
                        _set_sudo(lab, state.host)
                    if state.failed:
                        say(f"{state.host.name}: systemd is up, but for {', '.join(state.failed)}")
                elif state.power is Power.OFF or time.monotonic() > until:
                    errors.append(not_up(lab.host_folder(state.host), state))
                else:
                    continue
                waiting.remove(state.host)
            time.sleep(0.1)
        raise_all(errors)


def switch_off(folders: Sequence[HostFolder]) -> None:
    """Power hosts off and leave nothing running of them."""
    each(folders, stop)


def discard(folder: HostFolder) -> None:
    """Take one host away with its disk and keys."""
    stop(folder)
    shutil.rmtree(folder.path)


def _spec(lab: LabState, host: LabHost, layers: Sequence[Path]) -> Spec:
    bridge = lab.network.bridge
    return Spec(
        name=host.name,
        number=host.number,
        bridge=bridge,
        layers=tuple(map(str, layers)),
        unit=f"ovn-runbooks-{bridge}-{host.name}.service" if machine_has_systemd() else "",
        modules=Path("/lib/modules").is_dir(),
    )


def _set_sudo(lab: LabState, host: LabHost) -> None:
    """With a password or without, once for each disk and each change of mind."""
    note = lab.host_folder(host).path / "disk" / "sudo"
    wanted = "password" if lab.sudo_password else "free"
    if note.exists() and note.read_text() == wanted:
        return
    rule = f"{USER} ALL=(ALL:ALL) {'' if lab.sudo_password else 'NOPASSWD: '}ALL\n"
    if lab.sudo_password:
        run_inside(lab.folder, host.name, ["chpasswd"], text=f"{USER}:{ensure_password(lab.paths.sudo_password)}\n")
    run_inside(lab.folder, host.name, ["install", "-m", "0440", "/dev/stdin", SUDO_RULE], text=rule)
    note.write_text(wanted)


def _names(hosts: Sequence[LabHost]) -> str:
    return ", ".join(host.name for host in hosts)
