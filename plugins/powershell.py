"""PowerShell scripts: quoting, and the library put before a body. The counterpart of plugins.scripts for Windows."""

from __future__ import annotations

import re
from functools import cache

from plugins.scripts import BODY, END, TEMPLATES, BodyError

_VERB = re.compile(r"^function ([a-z][a-z_0-9]*)(?: \{|\()", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.:\\/-]*")
# PowerShell takes typographic quotes for quotes, too.
_QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")


def quote(value: object) -> str:
    """Quote one value as one PowerShell word; raises BodyError for a NUL byte.

    What could be read as a number, a parameter or an operator is quoted as well.
    """
    text = str(value)
    if "\0" in text:
        raise BodyError("a NUL byte cannot be part of a script")
    if _PLAIN.fullmatch(text):
        return text
    return f"'{_QUOTES.sub(lambda match: match[0] * 2, text)}'"


@cache
def libraries() -> dict[str, str]:
    """Library files by name, in the order in which a script has them; `steps` is the engine under the rest."""
    names = ["steps", *sorted(file.stem for file in (TEMPLATES / "lib").glob("*.ps1") if file.stem != "steps")]
    return {name: (TEMPLATES / "lib" / f"{name}.ps1").read_text() for name in names}


@cache
def verbs() -> dict[str, str]:
    """Every verb of the vocabulary and the library file that has it."""
    return {verb: name for name, text in libraries().items() if name != "steps" for verb in _VERB.findall(text)}


def assemble(body: str, *, marker: str, dry_run: bool, wait: float, owner: str) -> str:
    """Put the library before `body`, which is a function that the very last line calls."""
    always = {"Mark": marker, "Owner": owner}
    words = [f"{name} = '{_QUOTES.sub(lambda match: match[0] * 2, value)}'" for name, value in always.items()]
    settings = [*words, f"DryRun = ${str(dry_run).lower()}", f"Wait = {int(wait)}"]
    return "\n".join(
        [
            f"$Steps = @{{ {'; '.join(settings)} }}",
            *libraries().values(),
            "function steps_body {",
            BODY,
            body.rstrip("\n"),
            END,
            "}",
            "steps_run\n",
        ]
    )
