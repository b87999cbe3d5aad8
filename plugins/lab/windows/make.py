"""A bare simulated Windows host: its disk, and the keys by which its WinRM is known before the first login."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509

from plugins.artifacts.pins import load_pins, lock_file, save_pins
from plugins.lab.host import HostFolder, Spec, write_private
from plugins.lab.keys import ensure_machine_id, ensure_password
from plugins.lab.options import LabHost, LabPaths
from plugins.lab.power import machine_has_systemd
from plugins.lab.state import LabState
from plugins.lab.windows.disk import write_disk
from plugins.releases import SHIPPED, load_release
from plugins.simulate.layout import made_up_pins
from plugins.simulate.state import HostState
from plugins.simulate.windows.state import WindowsState
from plugins.simulate.winrm_certificates import Signed, issue, make_authority

RELEASE = "current"
YEARS = timedelta(days=3650)


def make_windows(lab: LabState, host: LabHost, folder: HostFolder) -> None:
    """Make the host's disk, and its certificate when it has none: like a host's SSH keys it stays."""
    bridge, subnet = lab.network.bridge, lab.network.subnet
    ensure_password(lab.paths.windows_password)
    _ensure_certificate(lab.paths, host, folder)
    unit = f"ovn-runbooks-{bridge}-{host.name}.service" if machine_has_systemd() else ""
    spec = Spec(
        name=host.name,
        number=host.number,
        bridge=bridge,
        layers=(),
        unit=unit,
        windows=True,
        address=f"{host.address}/{subnet.prefixlen}",
        gateway=str(lab.network.gateway),
    )
    folder.write_spec(spec)
    windows = WindowsState(prefix=subnet.prefixlen, gateway=str(lab.network.gateway))
    address, machine_id = str(host.address), ensure_machine_id(folder)
    write_disk(folder, HostState(host.name, "windows", address, machine_id=machine_id, windows=windows))


def certificate_file(folder: HostFolder) -> Path:
    """The host's key and certificate for WinRM, in one PEM file."""
    return folder.path / "keys" / "winrm.pem"


def pin_made_up(inventory: Path) -> None:
    """Pin what Windows hosts would download to something, unless it is pinned: these hosts download nothing.

    Pins of what Linux hosts download are never made up: `artifacts lock` makes those.
    """
    release = load_release(RELEASE, inventory)
    made_up, pins = made_up_pins(release), load_pins(RELEASE, inventory, SHIPPED)
    windows = {
        each.source(platform): made_up.files[each.source(platform)]
        for each in release.artifacts
        for platform in each.platforms
        if platform.startswith("windows/")
    }
    if missing := windows.keys() - pins.files.keys():
        files = {**pins.files, **{source: windows[source] for source in sorted(missing)}}
        save_pins(pins.model_copy(update={"files": files}), lock_file(RELEASE, inventory), "python -m runbooks.lab up")


def _ensure_certificate(paths: LabPaths, host: LabHost, folder: HostFolder) -> None:
    key_file, file = paths.windows_ca.with_name("windows-ca-key.pem"), certificate_file(folder)
    if not (key_file.exists() and paths.windows_ca.exists()):
        authority = make_authority("CA of the lab's Windows hosts", YEARS)
        write_private(key_file, authority.key_pem.decode())
        write_private(paths.windows_ca, authority.pem.decode())
    elif file.exists():
        return
    authority = Signed.read(paths.windows_ca.read_bytes(), key_file.read_bytes())
    own = issue(authority, host.name, [x509.IPAddress(host.address), x509.DNSName(host.name)], valid=YEARS)
    write_private(file, (own.key_pem + own.pem).decode())
