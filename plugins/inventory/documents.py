"""Reading one YAML file that holds a mapping; what YAML itself can get wrong is said in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from plugins.inventory.findings import Finding, shown

SEE = "docs/inventory.md shows how"
# What libyaml and PyYAML say, what that means, what to do. Their own words may quote the text, and so a secret.
_IN_PLAIN_WORDS = (
    (
        r"mapping values are not allowed",
        "a colon where none can stand",
        "put a value that holds a colon in quotes, and give the keys of one block the same indentation",
    ),
    (r"could not find expected ':'", "a key without a colon", "write KEY: VALUE"),
    (
        r"while parsing a block (mapping|collection)",
        "this does not fit the lines above it",
        "give the keys of one block the same indentation, and put a value that holds quotes or brackets in quotes",
    ),
    (
        r"undefined alias|scanning an (alias|anchor)",
        "a value that begins with * or &, which refer to other values in YAML",
        "put it in quotes",
    ),
    (
        r"for the tag|scanning a tag|parsing a tag",
        "a value that begins with !, which is a tag in YAML",
        "put it in quotes",
    ),
    (r"cannot start any token", "a value that begins with a character that YAML reserves", "put it in quotes"),
    (
        r"(scanning|parsing) a (double-)?quoted scalar",
        "a quote that is not closed, or a backslash in double quotes",
        "close it; in single quotes a backslash is just a backslash",
    ),
    (r"parsing a flow", "a bracket or brace that is not closed", "close it, or put the value in quotes"),
    (r"single document", "a second document begins here", "keep one document, with no --- in between"),
    (r"unhashable", "a list or mapping in the place of a key", "write a plain name"),
    (r"for merging", "<< without a mapping behind it", "write a reference to one, as in *NAME"),
)


def _loader() -> Any:
    # libyaml's parser, where PyYAML was built with it, is ten times as fast on a thousand hosts. Dates stay
    # text: no key is one, and 2024-02-30 would end the run.
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith(":timestamp")]
        for first, pairs in base.yaml_implicit_resolvers.items()
    }
    return type("Loader", (base,), {"yaml_implicit_resolvers": resolvers})


_LOADER = _loader()


@dataclass(frozen=True)
class Document:
    """One file's mapping, with what is wrong in its YAML; `data` is None where nothing could be read."""

    file: str
    subject: str | None
    data: dict[Any, Any] | None
    findings: tuple[Finding, ...] = ()

    def finding(self, path: tuple[str, ...], problem: str, todo: str = "") -> Finding:
        """Say what is wrong at a path of keys. Where the file has no subject, its first key is one."""
        if self.subject is None:
            return Finding(self.file, shown(path[:1]), shown(path[1:]), problem, todo)
        return Finding(self.file, self.subject, shown(path), problem, todo)


def read(path: Path, holds: str, subject: str | None = None) -> Document:
    """Read one file. `holds` says what it should hold; `subject` is what its errors are about, if it is one thing."""
    nothing = Document(str(path), subject, None)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return _refused(nothing, "the file does not exist", f"write {holds} into it; {SEE}")
    except UnicodeDecodeError as error:
        return _refused(nothing, f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8")
    except OSError as error:
        return _refused(nothing, f"the file cannot be read ({error.strerror})", "check the path and its permissions")
    return parse(text, nothing, holds)


def parse(text: str, nothing: Document, holds: str) -> Document:
    """Parse the text of one file; `nothing` is its document as yet without data."""
    try:
        loader = _LOADER(text)
        try:
            node = loader.get_single_node()
            doubles = tuple(_doubles(nothing, node, (), frozenset()))
            data = loader.construct_document(node) if node else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return _refused(nothing, *_explained(error, text))
    if data is None or data == {}:
        return _refused(nothing, "the file is empty", f"write {holds} into it; {SEE}")
    if not isinstance(data, dict):
        found = "a list" if isinstance(data, list) else "a single value"
        return _refused(nothing, f"expected {holds}, found {found}", f"write lines of the form KEY: VALUE; {SEE}")
    return Document(nothing.file, nothing.subject, data, doubles)


def _refused(document: Document, problem: str, todo: str) -> Document:
    finding = Finding(document.file, document.subject or "", "", problem, todo)
    return Document(document.file, document.subject, None, (finding,))


def _doubles(document: Document, node: yaml.Node, path: tuple[str, ...], above: frozenset[int]) -> Iterator[Finding]:
    """Find keys that one mapping has twice: YAML libraries keep the last one and say nothing."""
    if id(node) in above:  # a reference to what it stands in
        return
    above |= {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _doubles(document, item, (*path, str(place)), above)
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and name in first:
                lines = f"line {line}" if line == first[name] else f"line {first[name]} and in line {line}"
                todo = "YAML would keep only the last one: rename or remove one"
                yield document.finding((*path, name), f"written twice, in {lines}", todo)
            first.setdefault(name, line)
            yield from _doubles(document, value, (*path, name), above)


def _explained(error: Exception, text: str) -> tuple[str, str]:
    """Say what is wrong and what to do about text that is no YAML, never quoting it."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return _explained_at(error, error.problem_mark, text.split("\n"))
    if isinstance(error, yaml.reader.ReaderError):
        place = text.find(chr(error.character)) if isinstance(error.character, int) else -1
        line = text.count("\n", 0, max(place, 0)) + 1
        return f"line {line}: a control character, which YAML does not allow", "remove it"
    if isinstance(error, RecursionError):
        return "blocks nested too deeply to be read", "remove the nesting"
    return "a value that does not fit the type (!!) written before it", "remove the !! and put the value in quotes"


def _explained_at(error: yaml.MarkedYAMLError, mark: yaml.Mark, lines: list[str]) -> tuple[str, str]:
    row = lines[mark.line] if mark.line < len(lines) else ""
    tab = _tab(row, mark.column)
    if tab is not None:
        place = f"line {mark.line + 1}, column {tab + 1}"
        return f"{place}: a tab, where YAML takes only spaces", "replace the tab by spaces"
    said = f"{error.context} {error.problem}"
    if error.context_mark is not None and re.search("quoted scalar|parsing a flow", said):
        mark = error.context_mark  # where it was opened, not the end of the file
    place = f"line {mark.line + 1}, column {mark.column + 1}"
    for pattern, problem, todo in _IN_PLAIN_WORDS:
        if re.search(pattern, said):
            return f"{place}: {problem}", todo
    return f"{place}: this is not YAML", "compare the line with those above it, or put the value in quotes"


def _tab(row: str, column: int) -> int | None:
    """Find the tab that the parser stumbled over, as an index: in the indentation, or where it stopped."""
    indentation = row[: len(row) - len(row.lstrip())]
    if "\t" in indentation:
        return indentation.index("\t")
    return column if row[column : column + 1] == "\t" else None
