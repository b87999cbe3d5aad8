"""A simulated Windows host of the lab: `python -m plugins.lab.windows.host HOST_FOLDER`, run by its supervisor.

One life of the process is one boot of the host. It ends with REBOOT when the host wants to be started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

from cryptography import x509

from plugins.errors import RunbookError
from plugins.lab.host import HostFolder, write_private
from plugins.lab.inside import POWER_CYCLE
from plugins.lab.options import ADMINISTRATOR, LabPaths
from plugins.lab.supervisor import REBOOT
from plugins.lab.windows.disk import disk_text, read_disk
from plugins.lab.windows.link import set_up_nic
from plugins.lab.windows.make import certificate_file
from plugins.lab.windows.plane import RealPlane
from plugins.simulate.host import Door, SimulatedHost, Timing
from plugins.simulate.session import play
from plugins.simulate.winrm_auth import Users
from plugins.simulate.winrm_doors import WinrmDoors
from plugins.simulate.world import World

SAVE_SECONDS = 0.25
PATIENCE = 600.0
"""Seconds; a step waits as long as its script says: what it waits for is real."""
DARK_SECONDS = 0.2
"""How long a host that reboots is off, before its process starts anew."""


class OwnCertificate:
    """What the host's WinRM shows: the certificate that the lab has made for it."""

    def __init__(self, file: Path, ca_file: Path) -> None:
        self.authority_pem = ca_file.read_text()
        self._certificate = x509.load_pem_x509_certificate(file.read_bytes())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(file)

    def shown(self, _door: Door) -> x509.Certificate:
        """Give the certificate, which logins are bound to."""
        return self._certificate

    def context(self, _door: Door) -> ssl.SSLContext:
        """Give the listener's TLS settings."""
        return self._context


class WindowsHost:
    """One boot of the host, from power on to its end."""

    def __init__(self, folder: HostFolder) -> None:
        self.folder = folder
        state = read_disk(folder)
        self.plane = RealPlane(folder.path / "disk" / "run")
        timing = Timing(reboot=DARK_SECONDS, network_change=PATIENCE)
        self.world = World([state], asyncio.get_running_loop(), timing=timing, plane=self.plane)
        self.host: SimulatedHost = self.world.hosts[state.name]
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._kept = ""

    async def run(self) -> int:
        """Run until the host goes down; returns the exit status."""
        loop = asyncio.get_running_loop()
        self.host.switch_on = lambda: self.end(REBOOT)
        loop.add_signal_handler(signal.SIGTERM, lambda: self.end(0))
        loop.add_signal_handler(POWER_CYCLE, lambda: self.host.crash(0))
        paths = LabPaths(self.folder.path.parents[1])
        users = Users(ADMINISTRATOR, paths.windows_password.read_text().strip())
        doors = WinrmDoors(users, self.folder.path / "keys", play)
        doors.certificates = OwnCertificate(certificate_file(self.folder), paths.windows_ca)
        self.host.boot()
        server = await doors.listen(self.host, Door.OPEN, self.host.state.address)
        self.host.on_door = lambda: None if self.host.up else server.close()
        tasks = [loop.create_task(self._keep()), loop.create_task(self.plane.follow(self.host))]
        try:
            # What goes wrong in one of them is the end of the host, and not of a part of it.
            watched: list[asyncio.Future[Any]] = [self.ended, *tasks]
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            return self.ended.result()
        finally:
            for task in tasks:
                task.cancel()
            server.close()
            self.host.drop_connections()
            self.save()

    def end(self, status: int) -> None:
        """Have the process end."""
        if not self.ended.done():
            self.ended.set_result(status)

    def save(self) -> None:
        """Write the disk, where the host is no longer what is on it."""
        if (text := disk_text(self.host.state)) != self._kept:
            write_private(self.folder.windows_state, text)
            self._kept = text

    async def _keep(self) -> None:
        """Write the disk as the host changes: a power cut loses no more than a moment."""
        while True:
            self.save()
            await asyncio.sleep(SAVE_SECONDS)


async def _run(folder: HostFolder) -> int:
    return await WindowsHost(folder).run()


def main(path: str) -> int:
    """Be the host whose folder is `path`, for one boot."""
    folder = HostFolder(Path(path))
    spec = folder.read_spec()
    assert spec is not None, "a host is described before it is started"
    try:
        set_up_nic(spec.address, spec.gateway)
    except RunbookError as error:
        print(error, file=sys.stderr)
        return 1
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_run(folder))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
