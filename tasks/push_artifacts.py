"""Files of a mirror folder, carried to a host over the connection that is there anyway."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.artifacts.mirror import PUSHED
from plugins.context import context_of
from plugins.errors import StepError
from plugins.inventory import host_settings
from plugins.steps import StepsResult
from tasks.run_script import run_script

SLOWEST = 500_000  # bytes a second


def push_artifacts(task: Task, wanted: str) -> StepsResult:
    """Send what a host asks for: lines of SHA-256 and place. It gets nothing but downloads of its own role."""
    context = context_of(task)
    downloads = context.downloads
    offered = {
        (source.sha256, source.location.removeprefix(PUSHED))
        for artifact in downloads.of(host_settings(task.host).role)
        for source in downloads.sources(artifact)
        if source.location.startswith(PUSHED)
    }
    asked = [(sha256, place) for sha256, _, place in (line.partition(" ") for line in wanted.splitlines())]
    if downloads.mirror is None or not offered.issuperset(asked):
        raise StepError(task.host.name, "files of the mirror", "the host asks for what is no download of its role")
    files = [(sha256, place, downloads.mirror.file(place)) for sha256, place in asked]
    try:
        sent = [(sha256, place, path.stat().st_size) for sha256, place, path in files]
    except OSError as error:
        seen = f"{error.filename}: {error.strerror}"
        raise StepError(task.host.name, "files of the mirror", seen, "complete the mirror's folder") from None
    limit = context.settings.script_deadline + sum(size for _, _, size in sent) / SLOWEST
    paths = [path for _, _, path in files]
    return run_script(task, "linux/push_artifacts.sh.j2", deadline=limit, sent=sent, data=paths)
