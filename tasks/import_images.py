"""Container images of a mirror, for nodes that reach no registry."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.artifacts.model import Kind
from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.steps import StepsResult
from tasks.run_script import run_script


def import_images(task: Task) -> StepsResult:
    """Import the images that are pinned in the mirror; all others are pulled by the node that runs them."""
    downloads = context_of(task).downloads
    wanted = downloads.of(host_settings(task.host).role, (Kind.IMAGE,))
    images = [(each, sources) for each in wanted if (sources := downloads.sources(each))]
    if not images:
        return StepsResult(task.host)
    return run_script(task, "linux/import_images.sh.j2", images=images)
