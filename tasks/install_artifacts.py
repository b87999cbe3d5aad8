"""What a host downloads: programs and the members of archives, from upstream or a mirror."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.artifacts.model import Kind
from plugins.context import context_of
from plugins.errors import StepError
from plugins.inventory import host_settings
from plugins.steps import StepsResult
from tasks.run_script import run_script


def install_artifacts(task: Task) -> StepsResult:
    """Put the files of the release for the host's role in place, where they are not there yet."""
    downloads = context_of(task).downloads
    wanted = [each for each in downloads.of(host_settings(task.host).role) if each.kind is not Kind.IMAGE]
    placed = [(each, downloads.sources(each)) for each in wanted if downloads.as_file(each)]
    for artifact, sources in placed:
        if not sources:
            raise StepError(task.host.name, f"artifact {artifact.path}", f"{artifact.name} is not pinned")
    return run_script(
        task,
        "linux/install_artifacts.sh.j2",
        files=[each for each in placed if each[0].kind is not Kind.ARCHIVE],
        archives=[each for each in placed if each[0].kind is Kind.ARCHIVE],
    )
