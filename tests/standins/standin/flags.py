"""A component's flags, held to the list that the real one prints."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence

from standin.refusal import Refusal


def known(component: str) -> frozenset[str]:
    """Names of a component's flags, out of the data beside this package."""
    return frozenset((pkgutil.get_data("standin", f"flags/{component}.txt") or b"").decode().split())


def parse(component: str, words: Sequence[str], required: Sequence[str] = ()) -> dict[str, str]:
    """Value of each flag by name, without the dashes. Raises Refusal for what the real program would not take.

    Values are written `--name=value`, as unit files here have them; a switch may stand alone.
    """
    names, switches, found = known(component), known("booleans"), dict[str, str]()
    for word in words:
        name, mark, value = word.partition("=")
        if not name.startswith("--"):
            raise Refusal(f"unexpected argument {word!r}")
        if name not in names:
            raise Refusal(f"unknown flag: {name}")
        if not mark and name not in switches:
            raise Refusal(f"flag needs an argument: {name}")
        if name in switches and value not in ("", "true", "false"):
            raise Refusal(f"invalid argument {value!r} for {name}: true or false")
        if mark and not value:
            raise Refusal(f"{name}: empty")
        if name[2:] in found:
            raise Refusal(f"{name}: given twice")
        found[name[2:]] = value or "true"
    if missing := [name for name in required if name not in found]:
        raise Refusal(f"missing: {', '.join(f'--{name}' for name in missing)}")
    return found
