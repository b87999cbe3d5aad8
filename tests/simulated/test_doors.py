"""The ports of simulated hosts: whoever is told of a host's state meets the port that belongs to it."""

from __future__ import annotations

import asyncio

import asyncssh

from plugins.simulate.doors import Doors, HostKeys
from plugins.simulate.server import Logins
from plugins.simulate.state import HostState
from plugins.simulate.world import World


async def come_back_while_it_is_asked() -> None:
    """Boot a host between a question for it and the answer, then connect to it."""
    world = World([HostState("linux-1", "linux", "10.142.0.3")], asyncio.get_running_loop())
    host, key = world.hosts["linux-1"], asyncssh.generate_private_key("ssh-ed25519")
    doors = Doors(world, HostKeys(key, key), Logins(("root",), key.export_public_key().decode(), None))
    address, port = (await doors.open())["linux-1"]
    try:
        before = host.state.boot_id
        host.crash(0)
        await doors.settled()
        assert host.state.boot_id != before
        (await asyncio.open_connection(address, port))[1].close()
    finally:
        doors.close()


def test_a_host_that_has_just_come_up_can_be_reached() -> None:
    """Its port opens a moment after its boot; who asks in that moment is told when it is open."""
    asyncio.run(come_back_while_it_is_asked())
