"""Templates become scripts: rendering, the one form a body may have, and the library put before it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent.parent / "templates"
BODY, END = "#--- body", "#--- end"
_NEEDS = re.compile(r"^# needs ([a-z]+)\.sh$", re.MULTILINE)
_VERB = re.compile(r"^([a-z][a-z_]*)\(\) \{", re.MULTILINE)
_PATH = re.compile(r"/[A-Za-z0-9_@%+=:,./-]+")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


@dataclass(frozen=True)
class Call:
    """One verb call of a body: `line` counts from 1."""

    verb: str
    arguments: tuple[str, ...]
    line: int


class BodyError(ValueError):
    """A body that is not one verb call per line with quoted words; the text says where and what."""


def quote(value: object) -> str:
    """Quote one value as one shell word (the `sh` filter)."""
    text = str(value)
    if "\0" in text:
        raise BodyError("a NUL byte cannot be part of a script")
    return shlex.quote(text)


@cache
def environment(release: str) -> Environment:
    """Templates of `release` lie over the common ones; an undefined value is an error."""
    env = Environment(
        loader=FileSystemLoader([TEMPLATES / "releases" / release, TEMPLATES]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,  # nobody edits templates during a run, and each look at their files is a call of the system
        autoescape=False,  # noqa: S701  # shell, not HTML: every value goes through the `sh` filter
    )
    env.filters["sh"] = quote
    return env


def library_files(suffix: str) -> dict[str, str]:
    """Library files by name, in the order in which a script has them; `steps` is the engine under the rest."""
    names = ["steps", *sorted(file.stem for file in (TEMPLATES / "lib").glob(f"*.{suffix}") if file.stem != "steps")]
    return {name: (TEMPLATES / "lib" / f"{name}.{suffix}").read_text() for name in names}


def verbs_in(files: Mapping[str, str], definition: re.Pattern[str]) -> dict[str, str]:
    """Every verb of a vocabulary and the library file that has it."""
    return {verb: name for name, text in files.items() if name != "steps" for verb in definition.findall(text)}


@cache
def libraries() -> dict[str, str]:
    """Give bash's library files, as library_files does."""
    return library_files("sh")


@cache
def verbs() -> dict[str, str]:
    """Give bash's verbs, as verbs_in does."""
    return verbs_in(libraries(), _VERB)


def calls(body: str) -> list[Call]:
    """Read a body of bash, as read_calls does."""
    return read_calls(body, _word, verbs())


def read_calls(
    body: str, read_word: Callable[[str, int, int], tuple[str, int]], vocabulary: Container[str]
) -> list[Call]:
    """Read a body: comments, empty lines, and one verb call per line of plain or single-quoted words.

    This is all that a body may hold, which keeps it readable, lets simulated hosts understand it, and leaves
    all craft in the library. A quoted word may span lines. `read_word` reads the word at a position, in a line, and
    says where it ends. Raises BodyError.
    """
    found: list[Call] = []
    position, line = 0, 1
    while position < len(body):
        start_line = line
        words: list[str] = []
        while position < len(body) and body[position] != "\n":
            if body[position] in " \t":
                position += 1
            elif body[position] == "#" and not words:
                position = _end_of_line(body, position)
            else:
                word, end = read_word(body, position, line)
                line += body.count("\n", position, end)
                position = end
                words.append(word)
        position, line = position + 1, line + 1
        if words:
            found.append(_call(words, start_line, vocabulary))
    return found


def _end_of_line(body: str, position: int) -> int:
    end = body.find("\n", position)
    return len(body) if end < 0 else end


def _word(body: str, position: int, line: int) -> tuple[str, int]:
    """Read a word as `quote` writes it: plain and single-quoted pieces, and a single quote in double quotes."""
    pieces = []
    while position < len(body) and body[position] not in " \t\n":
        if body.startswith('"\'"', position):
            pieces.append("'")
            position += 3
        elif body[position] == "'":
            end = body.find("'", position + 1)
            if end < 0:
                raise BodyError(f"line {line}: a quote is not closed")
            pieces.append(body[position + 1 : end])
            position = end + 1
        elif plain := _PLAIN.match(body, position):
            pieces.append(plain[0])
            position = plain.end()
        else:
            raise BodyError(
                f"line {line}: {body[position]!r} outside quotes: a body holds verb calls and quoted words only"
            )
    return "".join(pieces), position


def _call(words: list[str], line: int, vocabulary: Container[str]) -> Call:
    verb, *arguments = words
    if verb not in vocabulary:
        raise BodyError(f"line {line}: {verb!r} is not a verb of the library")
    return Call(verb, tuple(arguments), line)


def render(template: str, release: str, values: dict[str, Any]) -> str:
    """Render `template` (a path below templates/) into a body; raises jinja2's errors and BodyError."""
    return environment(release).get_template(template).render(**values)


def assemble(body: str, *, marker: str, dry_run: bool, wait: float, owner: str) -> str:
    """Put the library before `body`: the parts that its verbs come from, and nothing else.

    The body is a function that the very last line calls, so that a script cut off anywhere runs nothing.
    """
    found = calls(body)
    # The host reads what it knows of all these in one go.
    paths = " ".join(dict.fromkeys(path for call in found for path in call.arguments[:1] if _PATH.fullmatch(path)))
    settings = {"MARK": marker, "DRY_RUN": int(dry_run), "WAIT": int(wait), "PATHS": paths, "OWNER": owner}
    return "\n".join(
        [
            " ".join(f"STEPS_{name}={quote(value)}" for name, value in settings.items()),
            *_parts(call.verb for call in found),
            "steps_body() {",
            BODY,
            body.rstrip("\n"),
            END,
            "}",
            "steps_run steps_body\n",
        ]
    )


def _parts(used: Iterable[str]) -> list[str]:
    wanted, todo = {"steps", "host"}, {verbs()[verb] for verb in used}  # host.sh has helpers that all others build on
    while todo:
        name = todo.pop()
        wanted.add(name)
        todo |= _needs()[name] - wanted
    return [text for name, text in libraries().items() if name in wanted]


@cache
def _needs() -> dict[str, frozenset[str]]:
    """Say which other library files each one builds on."""
    return {name: frozenset(_NEEDS.findall(text)) for name, text in libraries().items()}
