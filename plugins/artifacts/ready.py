"""Whether a run has what the stages that place downloads take; asked before any host is touched."""

from __future__ import annotations

from collections.abc import Collection

from plugins.context import RunContext
from plugins.inventory.model import Role


def downloads_are_pinned(context: RunContext, roles: Collection[Role]) -> None:
    """Raise SettingsError unless all that Linux hosts of these roles need is pinned and can be had.

    A Windows host that something is missing for fails by itself, and stops nobody else.
    """
    downloads, linux = context.downloads, set(roles) - {Role.WINDOWS}
    downloads.check(each for each in downloads.artifacts if not linux.isdisjoint(each.roles))
