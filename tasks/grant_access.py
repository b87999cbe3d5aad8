"""Who may do what in the cluster, and the operator's own way in."""

from __future__ import annotations

from datetime import UTC, datetime

from nornir.core.task import Task

from plugins.context import context_of
from plugins.errors import StepError, UsageError
from plugins.kubernetes import MASTER_ACCOUNT, NODE_ACCOUNT, OVN_NAMESPACE, SUPERUSER_CONFIG, api_url, names_of
from plugins.pki.table import ADMINISTRATORS
from plugins.state_files import KUBECONFIG, keep, token_file
from plugins.steps import Status, Step, StepsResult
from tasks.run_script import run_script

SECONDS = 30


def grant_access(task: Task) -> StepsResult:
    """Bind administrators and ovnkube to their roles; keep ovnkube's tokens and a kubeconfig in the state folder."""
    result = run_script(
        task,
        "linux/grant_access.sh.j2",
        config=SUPERUSER_CONFIG,
        administrators=ADMINISTRATORS,
        namespace=OVN_NAMESPACE,
        master_account=MASTER_ACCOUNT,
        node_account=NODE_ACCOUNT,
        seconds=SECONDS,
    )
    if result.failed:
        return result
    try:
        return result + _kept(task, result)
    except UsageError as error:
        raise StepError(task.host.name, "state folder", str(error)) from None


def _kept(task: Task, result: StepsResult) -> StepsResult:
    from plugins.kubeconfig import administrator_config  # noqa: PLC0415  # X.509 is slow to import

    context, dry_run = context_of(task), task.is_dry_run()
    texts = {token_file(context, name): secret for name, secret in result.secrets.items()}
    config = administrator_config(context, names_of(task), api_url(task), datetime.now(UTC), dry_run=dry_run)
    steps = []
    if config is None:
        steps.append(Step(f"keep {KUBECONFIG}", Status.WOULD_CHANGE, message="its certificate would be issued first"))
    else:
        texts[context.state_folder / KUBECONFIG] = config
    for file, secret in texts.items():
        changed = keep(file, secret, dry_run=dry_run)
        status = (Status.WOULD_CHANGE if dry_run else Status.CHANGED) if changed else Status.OK
        steps.append(Step(f"keep {file.name}", status, message=str(file)))
    return StepsResult(task.host, tuple(steps))
