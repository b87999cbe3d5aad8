"""A lab from nothing to hosts that answer, and back to nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from plugins.lab import network
from plugins.lab.host import all_hosts
from plugins.lab.hosts import discard, make_disks, publish, start_all, switch_off, used_layers, wait_all
from plugins.lab.image import remove_unused
from plugins.lab.inventory import remove_inventory
from plugins.lab.lock import locked
from plugins.lab.machine import check_overlay, check_tun, find_datapath, install_tools, read_sources, refuse_unless_able
from plugins.lab.options import LabOptions, LabPaths, default_folder
from plugins.lab.parallel import each
from plugins.lab.progress import Say, timed
from plugins.lab.ready import HostState, look
from plugins.lab.recipe import read_recipe
from plugins.lab.state import LabState, planned, read_state, surplus, write_state


def up(options: LabOptions | None = None, say: Say = print) -> LabState:
    """Make the lab that is asked for out of whatever is there. Idempotent; mends what is broken.

    Raises UsageError where no lab can be, LockedError when another command works on it, HostError when a host
    does not come up (the others are up then).
    """
    options = options or LabOptions()
    options.check()
    machine = refuse_unless_able()
    install_tools(say)
    with locked(LabPaths(options.folder).lock, "the lab"):
        before = read_state(options.folder)
        lab = planned(options, before, find_datapath())
        network.refuse_overlap(lab.network)
        check_overlay(options.folder)
        check_tun()
        recipe = read_recipe(read_sources(machine, lab.network.gateway, options.mirror), options.release)
        # From here on something is changed; `down` finds what by this note.
        write_state(lab)
        if before is not None and before.inventory != lab.inventory:
            remove_inventory(before.inventory)
        for folder in surplus(lab):
            with timed(say, f"remove {folder.name}"):
                discard(folder)
        if made := network.ensure(lab.network):
            say(f"network {lab.network.subnet}: made {', '.join(made)}")
        make_disks(lab, recipe, say, fresh=options.fresh)
        start_all(lab, say)
        publish(lab)
        wait_all(lab, options.boot_timeout, say)
        if lab.images == lab.paths.images:
            remove_unused(lab.images, used_layers(lab))
        return lab


def down(folder: Path | None = None, *, purge: bool = False, say: Say = print) -> None:
    """Take the lab away: processes, network, disks, keys, inventory; with `purge` the image cache too. Idempotent."""
    refuse_unless_able()
    install_tools(say)
    paths = LabPaths(folder or default_folder())
    if not paths.folder.is_dir():
        say(f"no lab in {paths.folder}")
        return
    with locked(paths.lock, "the lab"):
        lab = read_state(paths.folder)
        with timed(say, "take the lab down"):
            folders = list(all_hosts(paths.hosts))
            bridges = {spec.bridge for folder in folders if (spec := folder.read_spec())}
            switch_off(folders)
            for bridge in bridges | ({lab.network.bridge} if lab else set()):
                network.remove(bridge)
            if lab:
                remove_inventory(lab.inventory)
            for part in (paths.hosts, paths.keys):
                if part.exists():
                    shutil.rmtree(part)
            paths.state.unlink(missing_ok=True)
        if purge:
            with timed(say, "delete the images"):
                shutil.rmtree(paths.folder)


def status(folder: Path | None = None) -> list[HostState]:
    """How each host is doing, the master first; empty when there is no lab."""
    refuse_unless_able()
    lab = read_state(folder or default_folder())
    return each(lab.hosts, lambda host: look(lab.folder, host)) if lab else []
