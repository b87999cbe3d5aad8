"""What a host downloads: programs and the members of archives, from upstream or a mirror."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.artifacts.mirror import PUSHED
from plugins.artifacts.model import Artifact, Kind
from plugins.context import context_of
from plugins.errors import SettingsError, StepError
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.steps import StepsResult
from plugins.windows import DOWNLOADS, FOLDER
from tasks.run_script import run_script


def install_artifacts(task: Task) -> StepsResult:
    """Put the files of the release for the host's role in place, where they are not there yet."""
    if host_settings(task.host).role is Role.WINDOWS:
        return _on_windows(task)
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


def _on_windows(task: Task) -> StepsResult:
    """Do so on a Windows host, which downloads all of it by itself."""
    downloads = context_of(task).downloads
    wanted = [each for each in downloads.of(Role.WINDOWS) if each.kind is not Kind.IMAGE]
    try:
        downloads.check(wanted)
    except SettingsError as error:
        raise StepError(task.host.name, "artifacts", str(error)) from None
    placed = [(each, source) for each in wanted for source in downloads.sources(each)]
    if any(source.location.startswith(PUSHED) for _, source in placed):
        todo = "serve the folder over HTTP, and give that address to --mirror"
        raise StepError(task.host.name, "artifacts", "WinRM is too slow to carry files of a mirror's folder", todo)
    return run_script(
        task,
        "windows/install_artifacts.ps1.j2",
        folder=FOLDER,
        files=[(each, source) for each, source in placed if each.kind is not Kind.ARCHIVE],
        archives=[(_packed(each), each, source) for each, source in placed if each.kind is Kind.ARCHIVE],
    )


def _packed(artifact: Artifact) -> str:
    return rf"{DOWNLOADS}\{artifact.name}.tar.gz"
