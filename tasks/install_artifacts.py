"""What a host downloads: programs and the members of archives, from upstream or a mirror."""

from __future__ import annotations

from collections.abc import Iterable

from nornir.core.task import Task

from plugins.artifacts.mirror import PUSHED, Mirror
from plugins.artifacts.model import Artifact, Kind
from plugins.artifacts.serve import Served
from plugins.context import context_of
from plugins.errors import SettingsError, StepError
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.secret import Secret
from plugins.steps import Status, StepsResult
from plugins.windows import DOWNLOADS, FOLDER
from tasks.run_script import run_script

SLOWEST = 500_000  # bytes a second, of a line that is not given up


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
    """Do so on a Windows host, which downloads all of it by itself: of a mirror's folder, from this machine."""
    downloads = context_of(task).downloads.for_host(host_settings(task.host))
    wanted = [each for each in downloads.of(Role.WINDOWS) if each.kind is not Kind.IMAGE]
    try:
        downloads.check(wanted)
    except SettingsError as error:
        raise StepError(task.host.name, "artifacts", str(error)) from None
    placed = [(each, source) for each in wanted for source in downloads.sources(each)]
    places = [source.location.removeprefix(PUSHED) for _, source in placed if source.location.startswith(PUSHED)]
    served = _NOT_SERVED
    if downloads.mirror and places and not task.is_dry_run():
        served = _serve(task, downloads.mirror, places)
    result = run_script(
        task,
        "windows/install_artifacts.ps1.j2",
        deadline=_deadline(task, downloads.mirror, places),
        folder=FOLDER,
        files=[(each, source) for each, source in placed if each.kind is not Kind.ARCHIVE],
        archives=[(_packed(each), each, source) for each, source in placed if each.kind is Kind.ARCHIVE],
        served={f"{PUSHED}{place}": served.address(place) for place in places},
    )
    result.todo = result.todo or _todo(result, served)
    return result


# In a dry run nothing is listened on, and a host only looks at what it has.
_NOT_SERVED = Served("http://nowhere", Secret("not-served"))


def _serve(task: Task, mirror: Mirror, places: Iterable[str]) -> Served:
    """Have the mirror's folder served to the host for the rest of the run; no more of it than Windows hosts want."""
    context = context_of(task)
    settings = context.settings.mirror_server
    host = task.host.hostname or str(host_settings(task.host).address)
    try:
        files = {place: mirror.file(place) for place in places}
        return context.serving.offer(host, files, told=settings.address or "", port=settings.port)
    except OSError as error:
        where = f"to {host}" if not settings.port else f"to {host} at port {settings.port} (mirror_server.port)"
        seen = f"this machine cannot serve the mirror's folder {where}: {error.strerror or error}"
        todo = f"mend that, or write another mirror_server in config.yaml; or {_BY_URL}"
        raise StepError(task.host.name, "artifacts", seen, todo) from None


def _deadline(task: Task, mirror: Mirror | None, places: Iterable[str]) -> float:
    """Give the script's own deadline, and the time that the folder's files take over a slow line."""
    files = [mirror.file(place) for place in places] if mirror else []
    size = sum(file.stat().st_size for file in files if file.is_file())
    return context_of(task).settings.script_deadline + size / SLOWEST


_BY_URL = "serve the folder by a web server, and give its address to --mirror"


def _todo(result: StepsResult, served: Served) -> str:
    """Say what keeps a host from having a file of the folder; empty where something else went wrong."""
    said = next((step.output for step in result.steps if step.status is Status.FAILED), "")
    if served.origin not in said:
        return ""
    if "(404)" in said:
        return "complete the mirror's folder (python -m runbooks.artifacts fetch)"
    if ": sha256 " in said:
        return "put the right file into the mirror's folder, or pin this one if you trust it (artifacts lock --mirror)"
    port = served.origin.rpartition(":")[2]
    return (
        f"let the host reach TCP {port} of this machine (its firewall, and those on the way), or write mirror_server "
        f"in config.yaml where it has another address (NAT) or port for that; or {_BY_URL}"
    )


def _packed(artifact: Artifact) -> str:
    return rf"{DOWNLOADS}\{artifact.name}.tar.gz"
