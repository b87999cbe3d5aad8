"""Whether a run has what the stages that place downloads take; asked before any host is touched."""

from __future__ import annotations

from collections.abc import Collection

from plugins.context import RunContext
from plugins.inventory.model import Role


def downloads_are_pinned(context: RunContext, roles: Collection[Role]) -> None:
    """Raise SettingsError unless all that hosts of these roles need is pinned and can be had."""
    downloads = context.downloads
    downloads.check(each for each in downloads.artifacts if not set(each.roles).isdisjoint(roles))
