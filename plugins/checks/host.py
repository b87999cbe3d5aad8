"""The list of all checks of a host by itself, in the order in which they are shown."""

from __future__ import annotations

from plugins.checks import network, node, packages, system
from plugins.checks.expected import Expected
from plugins.checks.model import Rule

HOST_RULES: tuple[Rule[Expected], ...] = (*system.RULES, *packages.RULES, *network.RULES, *node.RULES)
