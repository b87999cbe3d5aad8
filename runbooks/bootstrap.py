"""Bare hosts to a Kubernetes cluster on one overlay: `python -m runbooks.bootstrap`."""

from __future__ import annotations

from dataclasses import replace

from plugins.cli import Reboot, application, main
from plugins.context import RebootPolicy
from plugins.inventory.model import Role
from plugins.runner import run
from plugins.selection import Options
from plugins.stages import Need, Runbook, Scope, Stage
from runbooks.kubernetes_stages import KUBERNETES
from tasks.check_host import check_host
from tasks.check_network import check_network
from tasks.compare_overlay import compare_overlay
from tasks.configure_bridges import configure_bridges
from tasks.configure_ovn_central import configure_ovn_central
from tasks.configure_protection import configure_protection
from tasks.create_authority import create_authority
from tasks.distribute_certificates import distribute_certificates
from tasks.gather_overlay import gather_overlay
from tasks.install_features import install_features
from tasks.install_ovn import install_ovn
from tasks.join_overlay import join_overlay

HOST, MASTER, ALL = Scope.HOST, Scope.MASTER, Scope.ALL

RUNBOOK = Runbook(
    name="bootstrap",
    title="Bare hosts to a cluster on one OVN overlay",
    stages=(
        Stage("preflight", check_host, roles=tuple(Role)),
        Stage(
            "authority",
            create_authority,
            roles=(Role.MASTER,),
            needs=(Need("preflight", HOST, "the master is reached, so that it can tell which authority it has"),),
        ),
        Stage(
            "network-checks",
            check_network,
            roles=tuple(Role),
            gathers="preflight",
            needs=(
                Need("preflight", HOST, "what it found here is what is compared"),
                Need("preflight", ALL, "a port can be probed once the other side listens"),
            ),
        ),
        Stage(
            "features",
            install_features,
            roles=(Role.WINDOWS,),
            kubernetes=True,
            needs=(Need("network-checks", HOST, "nothing is installed on a host that others would collide with"),),
        ),
        Stage(
            "protection",
            configure_protection,
            roles=(Role.WINDOWS,),
            kubernetes=True,
            needs=(Need("features", HOST, "the reboot for the feature comes first"),),
        ),
        Stage("install", install_ovn, needs=(Need("preflight", HOST, "nothing is installed on an unfit host"),)),
        Stage(
            "bridge",
            configure_bridges,
            needs=(
                Need("install", HOST, "bridges are made by Open vSwitch"),
                Need("network-checks", HOST, "the network works before it is changed"),
                Need("network-checks", ALL, "a host that reboots or moves its NIC answers nobody's probes"),
            ),
        ),
        Stage(
            "certificates",
            distribute_certificates,
            roles=tuple(Role),
            needs=(
                Need("authority", MASTER, "certificates are signed by the cluster's authority"),
                Need("preflight", HOST, "no key goes to a host that is unfit", roles=(Role.WINDOWS,)),
                Need("install", HOST, "the packages make the folder that the keys go to"),
            ),
        ),
        Stage(
            "central",
            configure_ovn_central,
            roles=(Role.MASTER,),
            needs=(
                Need("install", HOST, "the databases come with the packages"),
                Need("certificates", HOST, "the databases listen with TLS"),
                Need("network-checks", ALL, "until then others probe its listeners, which go when the databases come"),
            ),
        ),
        Stage(
            "join",
            join_overlay,
            needs=(
                Need("central", MASTER, "a chassis registers in the master's southbound database"),
                Need("certificates", HOST, "a chassis shows its certificate"),
                Need("bridge", HOST, "tunnels end on the host's bridges"),
            ),
        ),
        Stage(
            "inspect",
            gather_overlay,
            after_changes=False,
            needs=(
                Need("join", HOST, "there is nothing to inspect on a host that has not joined"),
                Need("join", ALL, "a tunnel is up when both of its ends have joined"),
            ),
        ),
        Stage(
            "verify",
            compare_overlay,
            gathers="inspect",
            after_changes=False,
            needs=(
                Need("inspect", HOST, "what it found here is what is compared"),
                Need("inspect", ALL, "the overlay is compared across hosts"),
            ),
        ),
        *KUBERNETES,
    ),
)

EXAMPLES = """Examples:
  python -m runbooks.bootstrap --dry-run          what would change, and nothing is written
  python -m runbooks.bootstrap                    all hosts of inventory/
  python -m runbooks.bootstrap -i ~/site-a --report run.json
  python -m runbooks.bootstrap --from bridge --host linux-1
"""


def bootstrap(options: Options, reboot: Reboot = RebootPolicy.NEEDED) -> int:
    """Turn the inventory's bare machines into one cluster. Safe to run again at any time."""
    return run(RUNBOOK, replace(options, reboot=reboot))


app = application(bootstrap, epilog=EXAMPLES)

if __name__ == "__main__":
    main(app, "bootstrap")
