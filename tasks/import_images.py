"""What a host gets by containerd: images that a mirror holds, and programs that are published in an image only."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.artifacts.model import Artifact, Kind
from plugins.context import context_of
from plugins.errors import StepError
from plugins.inventory import host_settings
from plugins.steps import StepsResult
from tasks.run_script import run_script


def import_images(task: Task) -> StepsResult:
    """Import the images that are pinned in the mirror, and take files out of those that are pinned by digest."""
    downloads = context_of(task).downloads
    wanted = downloads.of(host_settings(task.host).role, (Kind.IMAGE, Kind.CONTAINER_FILE))
    images = [(each, downloads.sources(each)) for each in wanted if each.kind is Kind.IMAGE]
    images = [(image, sources) for image, sources in images if sources]
    inside: dict[str, list[Artifact]] = {}
    for artifact in wanted:
        if artifact.kind is Kind.CONTAINER_FILE and not downloads.as_file(artifact):
            digest = downloads.pins.digest(artifact)
            if not digest:
                raise StepError(task.host.name, f"artifact {artifact.path}", f"{artifact.reference} is not pinned")
            inside.setdefault(f"{artifact.reference}@{digest}", []).append(artifact)
    if not images and not inside:
        return StepsResult(task.host)
    return run_script(task, "linux/import_images.sh.j2", images=images, inside=inside)
