"""The layout's own rules: order, decisions, shell and transport stay apart, and names say where things are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from plugins import powershell
from plugins.scripts import TEMPLATES, libraries, verbs
from runbooks import bootstrap, verify

ROOT = TEMPLATES.parent
TASKS = sorted(path for path in (ROOT / "tasks").glob("*.py") if path.stem not in {"__init__", "run_script"})
BODIES = sorted([*(TEMPLATES / "linux").glob("*.sh.j2"), *(TEMPLATES / "windows").glob("*.ps1.j2")])
LOOKING = {
    *("gather", "listen", "unlisten", "probe", "show_file", "inspect_overlay", "inspect_chassis"),
    *("inspect_node", "inspect_nodes", "inspect_health", "inspect_pairs", "inspect_name", "inspect_deployment"),
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_a_task_knows_no_runbook_and_no_transport(path: Path) -> None:
    """A task renders a template and reads what its steps said; who runs it, and over what, is not its business."""
    transports = ("netmiko", "paramiko", "winrm", "plugins.connections.ssh")
    forbidden = (*transports, "runbooks", "plugins.simulate", "plugins.lab")
    assert not [name for name in imports(path) if name.startswith(forbidden)]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_do_not_import_tasks_or_runbooks(path: Path) -> None:
    """The engine stands below what it runs; only the lab and the simulated hosts' own commands stand beside it."""
    assert not [name for name in imports(path) if name.split(".")[0] in {"tasks", "runbooks"}]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_a_task_file_has_one_public_function_of_its_name(path: Path) -> None:
    """The file, its function and its template share one verb-object name."""
    public = [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    assert public == [path.stem]


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.name)
def test_a_template_is_named_after_a_task(path: Path) -> None:
    """Every template is found where its task says it is."""
    used = {
        match
        for source in [*(ROOT / "tasks").glob("*.py"), ROOT / "plugins" / "locks.py"]
        for match in re.findall(r"linux/\w+\.sh\.j2|windows/\w+\.ps1\.j2", source.read_text())
    }
    assert f"{path.parent.name}/{path.name}" in used


@pytest.mark.parametrize("path", [p for p in BODIES if re.match(r"(gather|check)_", p.name)], ids=lambda p: p.name)
def test_what_gathers_or_checks_changes_nothing(path: Path) -> None:
    """Templates named gather_ or check_ call only verbs that look."""
    known = {*verbs(), *powershell.verbs()}
    called = set(re.findall(r"^\s*([a-z][a-z_]+)\b", path.read_text(), re.MULTILINE)) & known
    assert called <= LOOKING


@pytest.mark.parametrize("path", sorted((TEMPLATES / "windows").glob("*.ps1.j2")), ids=lambda path: path.name)
def test_every_value_for_windows_is_quoted(path: Path) -> None:
    """What a template puts into a PowerShell script goes through a filter of that language."""
    found = re.findall(r"\{\{ .*? \}\}", path.read_text())
    assert [each for each in found if not re.search(r"\| (ps|secret) \}\}$", each)] == []


def test_no_function_stands_in_two_powershell_files() -> None:
    """As in bash below; and PowerShell does not tell upper from lower case."""
    definition = re.compile(r"^function (\w+)", re.MULTILINE)
    names = [name.lower() for text in powershell.libraries().values() for name in definition.findall(text)]
    assert sorted(names) == sorted(set(names))


def test_no_verb_stands_in_two_library_files() -> None:
    """A later definition would silently replace an earlier one."""
    definition = re.compile(r"^(_?[a-z][a-z_]*)\(\) \{", re.MULTILINE)
    names = [name for text in libraries().values() for name in definition.findall(text)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("runbook", [bootstrap.RUNBOOK, verify.RUNBOOK, verify.TRAFFIC], ids=lambda each: each.title)
def test_every_need_states_its_reason(runbook: bootstrap.Runbook) -> None:
    """No barrier hides as a need: each one says in words what would go wrong without it."""
    for stage in runbook.stages:
        for need in stage.needs:
            assert len(need.reason.split()) >= 4, f"{stage.name} needs {need.stage}: {need.reason!r}"


def test_the_shipped_code_names_no_version() -> None:
    """Versions are data of a release; no program text holds one."""
    pattern = re.compile(r"[\"'](v?\d+\.\d+\.\d+)[\"']")
    found = {
        f"{path.relative_to(ROOT)}: {match}"
        for folder in ("plugins", "tasks", "runbooks")
        for path in (ROOT / folder).rglob("*.py")
        for match in pattern.findall(path.read_text())
    }
    assert not found
