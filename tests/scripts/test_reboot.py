"""When a host that waits for a reboot asks for one: the library in a real bash, and its twin, by the same table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scripting import MARK, Run

from plugins.connections import memory
from plugins.inventory.model import HostSettings
from plugins.scripts import assemble
from plugins.steps import Asks, Step, Transcript, parse_line

PACKAGE = "a package asks for a reboot (/run/reboot-required)"
WAITS = f"{PACKAGE}; it waits, as the host has joined: --reboot always, or reboot it yourself when it suits"
NEVER = f"{PACKAGE}; not rebooted, as asked for on the command line"
BARE, ALONE, JOINED, SILENT = "no Open vSwitch", "Open vSwitch", "Open vSwitch with databases", "a switch that is down"
TABLE = [
    ("needed", BARE, False, ("changed", PACKAGE, Asks.REBOOT)),
    ("needed", ALONE, False, ("changed", PACKAGE, Asks.REBOOT)),
    ("needed", ALONE, True, ("would-change", PACKAGE, Asks.NOTHING)),
    ("needed", JOINED, False, ("ok", WAITS, Asks.NOTHING)),
    ("needed", JOINED, True, ("ok", WAITS, Asks.NOTHING)),
    ("needed", SILENT, False, ("ok", WAITS, Asks.NOTHING)),
    ("always", JOINED, False, ("changed", PACKAGE, Asks.REBOOT)),
    ("never", ALONE, False, ("ok", NEVER, Asks.NOTHING)),
    ("never", JOINED, False, ("ok", NEVER, Asks.NOTHING)),
]
# The host's tools by functions: what is said of external_ids:ovn-remote, and that every module can be loaded.
SWITCH = {
    BARE: "",
    ALONE: "ovs-vsctl() { echo; };",
    JOINED: "ovs-vsctl() { echo '\"ssl:10.0.0.1:6642\"'; };",
    SILENT: "ovs-vsctl() { return 1; };",
}
LOADS, LOADS_NOT = "modprobe() { :; };", "modprobe() { return 1; };"
Asked = Callable[..., Step]


def outcome(step: Step) -> tuple[str, str, Asks]:
    return step.status.value, step.message, step.asks


@pytest.fixture
def asked(run: Run, tmp_path: Path) -> Asked:
    """Let a machine that waits for a reboot say its step; the machine's own /run is left alone."""
    place = tmp_path / "run-of-the-machine"
    place.mkdir()

    def asked(body: str, tools: str, *packages: str, dry_run: bool = False) -> Step:
        (place / "reboot-required").touch()
        if packages:
            (place / "reboot-required.pkgs").write_text("".join(f"{name}\n" for name in packages))
        prefix = f"mount --bind {place} /run && mkdir -p /run/ovn-runbooks; {tools}"
        step, *others = run(body, dry_run=dry_run, prefix=prefix).steps
        assert (step.name, others) == ("reboot when needed", [])
        return step

    return asked


@pytest.mark.parametrize(("policy", "switch", "dry_run", "said"), TABLE)
def test_a_host_that_has_joined_is_left_up(
    asked: Asked, policy: str, switch: str, said: tuple[str, str, Asks], *, dry_run: bool
) -> None:
    """Unless the operator asks for its reboot; one on which nothing lives yet is rebooted."""
    tools = f'hash() {{ declare -F "$1" >/dev/null; }}; {LOADS} {SWITCH[switch]}'
    assert outcome(asked(f"reboot_when {policy} none_such", tools, dry_run=dry_run)) == said


@pytest.mark.parametrize(("policy", "switch", "dry_run", "said"), TABLE)
def test_its_twin_says_the_same(policy: str, switch: str, said: tuple[str, str, Asks], *, dry_run: bool) -> None:
    """A simulated host comes to be what the real one is said to be."""
    body = "package any\n"
    if switch is not BARE:
        body += "package openvswitch-switch\n"
    if switch is JOINED:
        body += "ovs_external_ids ovn-remote=ssl:10.0.0.1:6642\n"
    if switch is SILENT:
        body += "service openvswitch-switch stopped\n"
    with memory.simulated_hosts(faults=["linux-1:want-reboot"]):
        simulated(body)
        assert outcome(simulated(f"reboot_when {policy} none_such\n", dry_run=dry_run)) == said


def simulated(body: str, *, dry_run: bool = False) -> Step:
    """Run a body on the simulated linux-1 and give its last step."""
    connection, transcript = memory.Memory(), Transcript()
    settings = HostSettings(name="linux-1", role="linux", address="10.142.0.3", transport="memory")
    connection.open(None, None, None, None, None, {"settings": settings})
    script = assemble(body, marker=MARK, dry_run=dry_run, wait=5, owner="test").encode()
    connection.connection.run(script, deadline=10, on_line=lambda raw: transcript.add(parse_line(raw, MARK)))
    connection.close()
    return transcript.steps[-1]


def test_a_module_that_cannot_be_loaded_does_not_wait(asked: Asked) -> None:
    """The overlay of a host that has joined needs it, and has not got it as the host is."""
    step = asked("reboot_when needed none_such", f"{LOADS_NOT} {SWITCH[JOINED]}")
    assert outcome(step) == ("changed", f"{PACKAGE}; none_such cannot be loaded before it", Asks.REBOOT)
    loaded = next(path.name for path in Path("/sys/module").iterdir())
    assert outcome(asked(f"reboot_when needed {loaded}", f"{LOADS_NOT} {SWITCH[JOINED]}")) == (
        "ok",
        WAITS,
        Asks.NOTHING,
    )


def test_the_packages_that_ask_are_named_once(asked: Asked) -> None:
    """As far as they have left their names."""
    step = asked("reboot_when never", LOADS, "linux-image-6.1.0-40-amd64", "linux-base", "linux-base")
    assert step.message.startswith("a package asks for a reboot (linux-image-6.1.0-40-amd64, linux-base); ")
