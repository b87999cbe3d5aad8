"""A node joins the overlay of pods: ovnkube, which on the master also speaks for the whole cluster."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.errors import StepError, UsageError
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.kubernetes import CA, MASTER_ACCOUNT, NODE_ACCOUNT, PODS_MTU, api_url, has_windows, master_name
from plugins.overlay import AUTHORITY, CERTIFICATE, KEY, databases
from plugins.state_files import read_token
from plugins.steps import Status, Step, StepsResult
from tasks.run_script import run_script

NAME = "token of ovnkube"
UNIT = "/etc/systemd/system/ovnkube.service"
CONFIG, TOKEN = "/etc/openvswitch/ovn_k8s.conf", "/etc/openvswitch/ovnkube-token"


def start_ovnkube(task: Task) -> StepsResult:
    """Start ovnkube with its token; that the node is ready takes a moment longer, and the master's ovnkube."""
    context, settings = context_of(task), host_settings(task.host)
    is_master = settings.role is Role.MASTER
    try:
        token = read_token(context, MASTER_ACCOUNT if is_master else NODE_ACCOUNT)
    except UsageError as error:
        raise StepError(task.host.name, NAME, str(error)) from None
    if token is None:
        if not task.is_dry_run():
            raise StepError(task.host.name, NAME, "none in the state folder", "python -m runbooks.task access")
        planned = Step(NAME, Status.WOULD_CHANGE, message="the API makes one when it is there")
        return StepsResult(task.host, (planned,))
    northbound, southbound = databases(task)
    return run_script(
        task,
        "linux/start_ovnkube.sh.j2",
        name=task.host.name,
        is_master=is_master,
        master=master_name(task),
        address=settings.address,
        nic=settings.nic,
        datapath=settings.datapath,
        mtu=PODS_MTU,
        hybrid=has_windows(task),
        api_url=api_url(task),
        unit=UNIT,
        config=CONFIG,
        token_file=TOKEN,
        token=token.reveal(),
        northbound=northbound,
        southbound=southbound,
        place={"key": KEY, "certificate": CERTIFICATE},
        authority=AUTHORITY,
        cluster_authority=CA,
        watched=(UNIT, CONFIG, TOKEN, "/usr/local/bin/ovnkube", KEY, CERTIFICATE, AUTHORITY, CA),
    )
