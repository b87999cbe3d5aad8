"""A grammar of PowerShell, for tests."""

from __future__ import annotations

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_powershell.language()))


def errors(text: str) -> list[str]:
    """Give line and text of every node that the grammar does not know."""
    found: list[str] = []
    pending: list[Node] = [PARSER.parse(text.encode()).root_node]
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            found.append(f"line {node.start_point.row + 1}: {(node.text or b'').decode()[:80]!r}")
        pending.extend(node.children)
    return found
