"""Programs that are published in a container image only."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.artifacts.model import Artifact, Kind
from plugins.context import context_of
from plugins.errors import StepError
from plugins.inventory import host_settings
from plugins.steps import StepsResult
from tasks.run_script import run_script


def extract_image_files(task: Task) -> StepsResult:
    """Take files out of images that are pinned by digest; a mirror that holds them as files makes this needless."""
    downloads = context_of(task).downloads
    inside: dict[str, list[Artifact]] = {}
    for artifact in downloads.of(host_settings(task.host).role, (Kind.CONTAINER_FILE,)):
        if downloads.as_file(artifact):
            continue
        digest = downloads.pins.digest(artifact)
        if not digest:
            raise StepError(task.host.name, f"artifact {artifact.path}", f"{artifact.reference} is not pinned")
        inside.setdefault(f"{artifact.reference}@{digest}", []).append(artifact)
    if not inside:
        return StepsResult(task.host)
    return run_script(task, "linux/extract_image_files.sh.j2", inside=inside)
