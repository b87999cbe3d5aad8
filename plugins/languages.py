"""What a host's scripts are written in: bash on Linux, PowerShell on Windows. The steps are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nornir.core.inventory import Host
from nornir.core.task import Task
from nornir_jinja2.plugins.tasks import template_file

from plugins import powershell, scripts
from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.secret import Secret


@dataclass(frozen=True)
class Language:
    """One of them: `folder` of templates/ has its bodies."""

    folder: str
    environment: Callable[[str], Any]
    assemble: Callable[..., str]

    def script(self, task: Task, template: str, values: dict[str, Any], **settings: Any) -> str:
        """Render `template` (below templates/) for the task's host, and put the library before it.

        `settings` are those of `assemble`. Raises BodyError, jinja2's errors, and ValueError for another
        language's template.
        """
        if not template.startswith(f"{self.folder}/"):
            raise ValueError(f"{template} is not for {task.host.name}, whose templates are in {self.folder}/")
        context = context_of(task)
        carried: list[Secret] = []
        given = values | {"cluster": context.cluster, powershell.CARRIED: carried}
        env = self.environment(context.release.name)
        body: str = template_file(task=task, template=template, jinja_env=env, **given).result
        return powershell.secret_lines(carried) + self.assemble(body, **settings)


BASH = Language("linux", scripts.environment, scripts.assemble)
POWERSHELL = Language("windows", powershell.environment, powershell.assemble)


def language_of(host: Host) -> Language:
    """Say what the host's scripts are written in."""
    return POWERSHELL if host_settings(host).role is Role.WINDOWS else BASH
