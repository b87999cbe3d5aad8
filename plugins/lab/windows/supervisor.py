"""Keeps one simulated Windows host running: `python -m plugins.lab.windows.supervisor HOST_FOLDER`.

Its first process is no container but the simulation, in a network namespace of its own: whatever ends that process
takes the namespace along, with every NIC and tunnel in it. A reboot does just that.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from plugins.errors import RunbookError
from plugins.lab.commands import run
from plugins.lab.network import mac_of
from plugins.lab.supervisor import Supervisor, main
from plugins.lab.windows.link import NIC

PLUG_SECONDS = 10


class WindowsSupervisor(Supervisor):
    """One simulated Windows host from its start to its end."""

    def mount(self) -> None:
        """Its disk is a file."""

    def command(self) -> list[str]:
        """The simulation, in a new network namespace; it does not outlive this process, however that ends."""
        apart = ["unshare", "--net", "setpriv", "--pdeathsig", "KILL"]
        return [*apart, sys.executable, "-m", "plugins.lab.windows.host", str(self.folder.path)]

    def plug(self, child: subprocess.Popen[bytes]) -> None:
        """Make the host's cable, one end in the bridge, as soon as the namespace is there."""
        until = time.monotonic() + PLUG_SECONDS
        while not _is_apart(child.pid):
            if child.poll() is not None or time.monotonic() > until:
                return
            time.sleep(0.02)
        port, mac = self.spec.port, mac_of(self.spec.machine)
        try:
            # The same MAC address after each boot, as a machine has.
            there = ["peer", "name", NIC, "address", mac, "netns", str(child.pid)]
            run(["ip", "link", "add", port, "type", "veth", *there])
            run(["ip", "link", "set", port, "master", self.spec.bridge, "up"])
        except RunbookError as error:
            self.console.write(f"{error}\n".encode())
            return
        self.led_by(child.pid)


def _is_apart(process: int) -> bool:
    """Whether the process is in another network namespace than this one."""
    own = Path("/proc/self/ns/net").readlink()
    try:
        return Path(f"/proc/{process}/ns/net").readlink() != own
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], WindowsSupervisor))
