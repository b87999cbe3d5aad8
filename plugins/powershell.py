"""PowerShell scripts: quoting, the one form a body may have, the library put before it, and secrets beside it.

The counterpart of plugins.scripts for Windows.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from functools import cache

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from plugins import scripts
from plugins.scripts import BODY, END, BodyError, Call
from plugins.secret import Secret

_VERB = re.compile(r"^function ([a-z][a-z_0-9]*)(?: \{|\()", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.:\\/-]*")
# PowerShell takes typographic quotes for quotes, too.
_QUOTE = "['\u2018\u2019\u201a\u201b]"
_QUOTES = re.compile(_QUOTE)
QUOTED = re.compile(f"'((?:[^{_QUOTE[1:]}|{_QUOTE}{{2}})*){_QUOTE}")
"""A quoted word; what is between its quotes is for `unquoted`."""
_PAIRS = re.compile(f"({_QUOTE}){_QUOTE}")
KEPT_WAIT = 600  # seconds that a script which stays on a host waits for another one there
CARRIED = "carried"
"""The value of a template that takes what its `secret` filter is given: a list."""


def quote(value: object) -> str:
    """Quote one value as one PowerShell word (the `ps` filter); raises BodyError for what may not be in a script.

    What could be read as a number, a parameter or an operator is quoted as well.
    """
    if isinstance(value, Secret):
        raise BodyError("a secret does not stand in a script: use the filter `secret`")
    text = str(value)
    if "\0" in text:
        raise BodyError("a NUL byte cannot be part of a script")
    if _PLAIN.fullmatch(text):
        return text
    return f"'{_QUOTES.sub(lambda match: match[0] * 2, text)}'"


def unquoted(inside: str) -> str:
    """Give the word whose quoted form has `inside` between its quotes."""
    return _PAIRS.sub(r"\1", inside)


@pass_context
def _carry(context: Context, value: object) -> str:
    """Take a secret out of the script (the `secret` filter); the word that stands for it goes there instead."""
    if not isinstance(value, Secret):
        raise BodyError("the filter `secret` takes a Secret")
    carried: list[Secret] = context[CARRIED]
    if value not in carried:
        carried.append(value)
    return quote(f"secret:{carried.index(value)}")


def _kept(body: str) -> str:
    """Make a body a script that stays on the host and runs there by itself (the `script` filter)."""
    text = assemble(body, marker=f"@{'0' * 32} ", dry_run=False, wait=KEPT_WAIT, owner="the boot task, boot")
    if not text.isascii():
        raise BodyError("a script that Windows reads from a file is ASCII: it would take UTF-8 for something else")
    return text


def secret_lines(secrets: Iterable[Secret]) -> str:
    """Give the lines that a script with secrets begins with; they travel beside it."""
    return "".join(f"#secret {base64.b64encode(secret.reveal().encode()).decode()}\n" for secret in secrets)


@cache
def environment(release: str) -> Environment:
    """Templates of `release` lie over the common ones; an undefined value is an error."""
    env = scripts.environment(release).overlay()
    env.filters = {name: each for name, each in env.filters.items() if name != "sh"}
    env.filters |= {"ps": quote, "secret": _carry, "script": _kept}
    return env


@cache
def libraries() -> dict[str, str]:
    """Give PowerShell's library files, as scripts.library_files does."""
    return scripts.library_files("ps1")


@cache
def verbs() -> dict[str, str]:
    """Give PowerShell's verbs, as scripts.verbs_in does."""
    return scripts.verbs_in(libraries(), _VERB)


def calls(body: str) -> list[Call]:
    """Read a body of PowerShell, as scripts.read_calls does."""
    return scripts.read_calls(body, _word, verbs())


def _word(body: str, position: int, line: int) -> tuple[str, int]:
    """Read a word as `quote` writes it: plain or quoted as a whole, never a mixture."""
    if body[position] == "'":
        match = QUOTED.match(body, position)
        if match is None:
            raise BodyError(f"line {line}: a quote is not closed")
        text = unquoted(match[1])
    else:
        match = _PLAIN.match(body, position)
        text = match[0] if match else ""
    end = match.end() if match else position
    if match is None or (end < len(body) and body[end] not in " \t\n"):
        seen = body[end : end + 1]
        raise BodyError(f"line {line}: {seen!r} outside quotes: a body holds verb calls and quoted words only")
    return text, end


def assemble(body: str, *, marker: str, dry_run: bool, wait: float, owner: str) -> str:
    """Put the library before `body`, which is a function that the very last line calls. Raises BodyError."""
    calls(body)
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
