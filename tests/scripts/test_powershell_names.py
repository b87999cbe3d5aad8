"""Names in the PowerShell library and the bootstrap: no command, parameter or variable that is not there.

Without Windows nobody else would notice a slip of the pen before an operator does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from powershell_grammar import PARSER
from tree_sitter import Node

from plugins.connections.winrm_bootstrap import BOOTSTRAP
from plugins.powershell import libraries

# Cmdlets of Windows PowerShell 5.1 and Windows Server 2022, with those of their parameters that are used.
CMDLETS = {
    "Add-MpPreference": "ExclusionPath ExclusionProcess",
    "Add-Type": "MemberDefinition Name Namespace PassThru",
    "ConvertFrom-Json": "InputObject",
    "ForEach-Object": "",
    "Get-Acl": "LiteralPath",
    "Get-ChildItem": "Force LiteralPath Path",
    "Get-CimInstance": "ClassName Filter",
    "Get-Command": "CommandType Name ErrorAction",
    "Get-Content": "Encoding LiteralPath Tail",
    "Get-FileHash": "Algorithm LiteralPath",
    "Get-HnsEndpoint": "",
    "Get-HnsNetwork": "",
    "Get-Item": "Force LiteralPath",
    "Get-ItemProperty": "LiteralPath",
    "Get-MpPreference": "",
    "Get-NetAdapter": "",
    "Get-NetFirewallPortFilter": "AssociatedNetFirewallRule",
    "Get-NetFirewallRule": "Name ErrorAction",
    "Get-NetIPAddress": "AddressFamily",
    "Get-NetIPInterface": "AddressFamily",
    "Get-NetRoute": "DestinationPrefix ErrorAction",
    "Get-NetTCPConnection": "State",
    "Get-NetUDPEndpoint": "",
    "Get-Process": "Id Name ErrorAction",
    "Get-ScheduledTask": "TaskName ErrorAction",
    "Get-Service": "Name",
    "Get-WindowsOptionalFeature": "FeatureName Online",
    "Install-WindowsFeature": "Name",
    "Join-Path": "",
    "New-Item": "Force Path",
    "New-ItemProperty": "Force LiteralPath Name PropertyType Value",
    "New-NetFirewallRule": "Action Direction DisplayName Enabled Group LocalPort Name Profile Protocol",
    "New-Object": "",
    "New-ScheduledTaskAction": "Argument Execute",
    "New-ScheduledTaskPrincipal": "LogonType RunLevel UserId",
    "New-ScheduledTaskSettingsSet": "ExecutionTimeLimit StartWhenAvailable",
    "New-ScheduledTaskTrigger": "AtStartup",
    "New-Service": "",
    "Out-Null": "",
    "Out-String": "",
    "Register-ScheduledTask": "Force TaskName",
    "Remove-HnsEndpoint": "",
    "Remove-Item": "Force LiteralPath Recurse ErrorAction",
    "Remove-NetFirewallRule": "",
    "Set-Acl": "AclObject LiteralPath",
    "Set-Service": "Name StartupType",
    "Sort-Object": "Property Unique",
    "Start-Service": "Name",
    "Start-Sleep": "Milliseconds Seconds",
    "Stop-Process": "Force Id",
    "Stop-Service": "Force Name NoWait",
    "Test-Path": "LiteralPath",
    "Where-Object": "",
}
# What PowerShell, the first line of every script, or the bootstrap gives.
GIVEN = {"_", "args", "true", "false", "null", "input", "steps", "executioncontext", "psversiontable", "stepssecrets"}
GIVEN |= {"matches", "myinvocation", "erroractionpreference", "progresspreference", "outputencoding", "s"}
TEXTS = {**libraries(), "bootstrap": BOOTSTRAP.read_text()}
FUNCTIONS = set(re.findall(r"^function (\w+)", "\n".join(libraries().values()), re.MULTILINE)) | {"steps_body"}


def nodes(node: Node, *kinds: str) -> Iterator[Node]:
    """Give all nodes of these kinds below one."""
    if node.type in kinds:
        yield node
    for child in node.children:
        yield from nodes(child, *kinds)


def text(node: Node | None) -> str:
    return (node.text or b"").decode() if node else ""


def tree(name: str) -> Node:
    return PARSER.parse(TEXTS[name].encode()).root_node


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_and_parameter_is_known(name: str) -> None:
    """A function of the library, or a cmdlet in its full name with its parameters in theirs."""
    strange = []
    for command in nodes(tree(name), "command"):
        called = text(command.child_by_field_name("command_name"))
        if not re.fullmatch(r"\w+(-\w+)?", called):  # "& $x", and numbers that the grammar takes for commands
            continue
        given = command.child_by_field_name("command_elements")
        words = [text(each)[1:] for each in (given.children if given else ()) if each.type == "command_parameter"]
        if called in FUNCTIONS:
            continue
        known = CMDLETS[called].split() if called in CMDLETS else []
        strange += [called] if called not in CMDLETS else [f"{called} -{word}" for word in words if word not in known]
    assert strange == []


def given(scope: Node) -> set[str]:
    """Name the variables that a function, or a whole file, gives something to."""
    assigned = {
        text(variable).lower()[1:]
        for node in nodes(scope, "left_assignment_expression", "script_parameter")
        for variable in nodes(node, "variable")
    }
    source = text(scope).lower()
    parameters = re.findall(r"\$(\w+)", source.partition("{")[0])
    return assigned | {*parameters, *re.findall(r"(?:foreach \(|\[ref\])\$(\w+)", source)}


@pytest.mark.parametrize("name", TEXTS)
def test_every_variable_is_given_something_first(name: str) -> None:
    """In its function: as a parameter, by an assignment, or by a loop."""
    root, strange = tree(name), []
    for scope in [*nodes(root, "function_statement")] or [root]:
        known = GIVEN | given(scope)
        for variable in nodes(scope, "variable"):
            used = re.sub(r"^[$@]\{?|\}$", "", text(variable)).lower()
            if ":" not in used and used not in known:
                strange.append(f"line {variable.start_point.row + 1}: ${used}")
    assert strange == []


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_newer_than_powershell_5_1(name: str) -> None:
    """Operators that the grammar knows and Windows' own PowerShell does not."""
    code = re.sub(r"'[^'\n]*'|\"[^\"\n]*\"|^\s*#.*$", "''", TEXTS[name], flags=re.MULTILINE)
    assert re.findall(r"&&|\|\||\?\?|\?\.|\?\[|-Parallel|-AsHashtable|utf8NoBOM|AsByteStream", code) == []


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_divided_is_a_whole_number_again(name: str) -> None:
    """A division that leaves a rest gives a floating-point number, and a great one is written with an exponent."""
    products = nodes(tree(name), "multiplicative_expression", "multiplicative_argument_expression")
    divided = [node for node in products if "/" in map(text, node.children)]
    assert [text(node) for node in divided if not _made_whole(node)] == []


def _made_whole(node: Node | None) -> bool:
    return node is not None and (text(node).startswith("[long]") or _made_whole(node.parent))


def test_a_slip_would_be_noticed() -> None:
    """The tests above can fail."""
    lines = ("$b = $a ?? 1", "Get-Itm -Path $c", "Get-Item -Literal $b", "[Math]::Floor($b / 10)")
    TEXTS["slip"] = "\n".join(("function _x([string]$a) {", *lines, "}\n"))
    try:
        for test, words in (
            (test_every_command_and_parameter_is_known, "Get-Itm"),
            (test_every_variable_is_given_something_first, "line 3: \\$c"),
            (test_nothing_newer_than_powershell_5_1, r"\?\?"),
            (test_what_is_divided_is_a_whole_number_again, r"\$b / 10"),
        ):
            with pytest.raises(AssertionError, match=words):
                test("slip")
    finally:
        del TEXTS["slip"]
