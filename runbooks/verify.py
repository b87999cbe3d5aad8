"""Is the cluster healthy? `python -m runbooks.verify` looks, and changes nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from plugins.cli import application, main
from plugins.inventory.model import Role
from plugins.runner import run
from plugins.selection import Options
from plugins.stages import Need, Runbook, Scope, Stage
from tasks.await_pod import await_pod
from tasks.close_traffic_port import close_traffic_port
from tasks.compare_cluster import compare_cluster
from tasks.compare_overlay import compare_overlay
from tasks.compare_windows import compare_windows
from tasks.gather_cluster import gather_cluster
from tasks.gather_overlay import gather_overlay
from tasks.gather_windows import gather_windows
from tasks.open_traffic_port import open_traffic_port
from tasks.probe_pods import probe_pods
from tasks.probe_traffic import probe_traffic
from tasks.start_pods import start_pods
from tasks.start_traffic import start_traffic
from tasks.stop_pods import stop_pods
from tasks.stop_traffic import stop_traffic

HOST, MASTER, ALL = Scope.HOST, Scope.MASTER, Scope.ALL

RUNBOOK = Runbook(
    name="verify",
    title="Is the cluster healthy?",
    changes=False,
    again=("runbooks.verify",),
    stages=(
        Stage("inspect", gather_overlay),
        Stage(
            "verify",
            compare_overlay,
            gathers="inspect",
            needs=(
                Need("inspect", HOST, "what it found here is what is compared"),
                Need("inspect", ALL, "the overlay is compared across hosts"),
            ),
        ),
        Stage("inspect-node", gather_cluster, kubernetes=True),
        Stage(
            "verify-node",
            compare_cluster,
            gathers="inspect-node",
            kubernetes=True,
            needs=(Need("inspect-node", HOST, "what it found here is what is judged"),),
        ),
        Stage("inspect-windows", gather_windows, roles=(Role.MASTER, Role.WINDOWS), kubernetes=True),
        Stage(
            "verify-windows",
            compare_windows,
            roles=(Role.WINDOWS,),
            gathers="inspect-windows",
            kubernetes=True,
            needs=(
                Need("inspect-windows", HOST, "what it found here is what is judged"),
                Need("inspect-windows", MASTER, "what the API says of the node is told there"),
            ),
        ),
    ),
)

TRAFFIC = Runbook(
    name="verify",
    title="Does the cluster carry packets?",
    # It puts up a temporary switch, and two of that name would stand in each other's way.
    changes=True,
    again=("runbooks.verify", "--traffic"),
    with_master=True,
    stages=(
        *RUNBOOK.stages,
        Stage(
            "traffic-start",
            start_traffic,
            roles=(Role.MASTER,),
            needs=(Need("inspect", HOST, "the master answers and has its databases"),),
        ),
        Stage(
            "traffic-port",
            open_traffic_port,
            needs=(
                Need("inspect", HOST, "the host answers and has its bridges"),
                Need("traffic-start", MASTER, "a port is bound once its switch is there"),
            ),
        ),
        Stage(
            "traffic",
            probe_traffic,
            gathers="traffic-port",
            needs=(
                Need("traffic-port", HOST, "packets leave by the host's own port"),
                Need("traffic-port", ALL, "a packet is answered where a port is open"),
            ),
        ),
        Stage(
            "traffic-close",
            close_traffic_port,
            needs=(Need("traffic", ALL, "other hosts still send packets to this one"),),
            always=True,
        ),
        Stage(
            "traffic-stop",
            stop_traffic,
            roles=(Role.MASTER,),
            needs=(Need("traffic-close", ALL, "a switch goes after its ports"),),
            always=True,
        ),
        Stage(
            "pods-start",
            start_pods,
            roles=(Role.MASTER,),
            gathers="inspect-node",
            kubernetes=True,
            needs=(
                Need("inspect-node", HOST, "the master answers and has its API"),
                Need("inspect-node", ALL, "a node that does not answer gets no pod"),
            ),
        ),
        Stage(
            "pod",
            await_pod,
            roles=tuple(Role),
            kubernetes=True,
            needs=(Need("pods-start", MASTER, "the API asks the node for its pod"),),
        ),
        Stage(
            "pod-traffic",
            probe_pods,
            roles=tuple(Role),
            gathers="pod",
            kubernetes=True,
            needs=(
                Need("pod", HOST, "packets leave by the host's own pod"),
                Need("pod", ALL, "a packet is answered where a pod runs"),
            ),
        ),
        Stage(
            "pods-stop",
            stop_pods,
            roles=(Role.MASTER,),
            kubernetes=True,
            needs=(Need("pod-traffic", ALL, "other pods still send packets to these"),),
            always=True,
        ),
    ),
)

NAMES = ", ".join(stage.name for stage in RUNBOOK.stages)
MORE = ", ".join(stage.name for stage in TRAFFIC.stages[len(RUNBOOK.stages) :])
EXAMPLES = f"""The stages: {NAMES}
With --traffic also: {MORE}

Examples:
  python -m runbooks.verify
  python -m runbooks.verify --traffic
  python -m runbooks.verify --report health.json
"""


def verify(
    options: Options,
    traffic: Annotated[
        bool, typer.Option("--traffic", help="Also send packets between all hosts, over temporary ports and pods.")
    ] = False,
) -> int:
    """Look at the cluster from every host and judge it. Exit status 1 when something is wrong."""
    return run(TRAFFIC if traffic else RUNBOOK, options)


app = application(verify, epilog=EXAMPLES, without=("mirror",))

if __name__ == "__main__":
    main(app, "verify")
