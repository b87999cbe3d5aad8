"""The forty looks as data, and as the files that other tools make the same looks with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from benchmarks.forty_looks import conf, pem, unit
from plugins.scripts import Call, calls, environment

LOOKS = 40
TEMPLATE = Path(__file__).with_name("forty_looks.sh.j2")


def forty() -> list[Call]:
    """Read our own task's body, so that everybody looks at the same things."""
    text = TEMPLATE.read_text(encoding="utf-8")
    return calls(environment("current").from_string(text).render(conf=conf, unit=unit, pem=pem))


def playbook() -> str:
    """Write the looks as an Ansible playbook: one task each, with the module that is made for it."""
    tasks = [{"name": f"{call.verb} {call.arguments[0]}", **_ansible(call)} for call in forty()]
    return yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}], sort_keys=False)


def _ansible(call: Call) -> dict[str, Any]:
    builtin, words = "ansible.builtin.", call.arguments
    match call.verb:
        case "package":  # the apt module would need python3-apt on the hosts, and take longer
            return {f"{builtin}command": {"argv": ["dpkg-query", "-W", *words]}, "changed_when": False}
        case "directory":
            return {f"{builtin}file": {"path": words[0], "state": "directory", **_rights(words)}}
        case "file" | "secret_file":
            module = {"dest": words[0], "content": words[3], **_rights(words)}
            return {f"{builtin}copy": module} | ({"no_log": True} if call.verb == "secret_file" else {})
        case "link":
            return {f"{builtin}file": {"path": words[0], "src": words[1], "state": "link", "force": True}}
        case "line":
            return {f"{builtin}lineinfile": {"path": words[0], "line": words[1]}}
        case "absent":
            return {f"{builtin}file": {"path": words[0], "state": "absent"}}
        case "ensure":
            return {f"{builtin}shell": words[1], "changed_when": False}
        case verb:
            raise ValueError(f"nobody has said what {verb} is in Ansible")


def _rights(words: tuple[str, ...]) -> dict[str, str]:
    owner, _, group = words[2].partition(":")
    return {"mode": words[1], "owner": owner, "group": group}


_DEPLOY = """\
import json
from io import StringIO
from pathlib import Path

from pyinfra import host
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files

for verb, words in json.loads(Path(__file__).with_name("looks.json").read_text()):
    name = f"{verb} {words[0]}"
    if verb in {"directory", "file", "secret_file"}:
        user, _, group = words[2].partition(":")
        rights = {"mode": words[1].lstrip("0"), "user": user, "group": group}
    if verb == "package":
        apt.packages(packages=words, name=name)
    elif verb == "directory":
        files.directory(path=words[0], name=name, **rights)
    elif verb in {"file", "secret_file"}:
        files.put(src=StringIO(words[3]), dest=words[0], name=name, **rights)
    elif verb == "link":
        files.link(path=words[0], target=words[1], name=name)
    elif verb == "line":
        files.line(path=words[0], line=words[1], name=name)
    elif verb == "absent":
        files.file(path=words[0], present=False, name=name)
    else:  # an operation of its own would count as a change
        host.get_fact(Command, f"{words[1]}; echo $?")
"""


def write_deploy(folder: Path) -> int:
    """Write the looks as a pyinfra deploy, and give its operations: one each, a fact where nothing can change."""
    looks = [(call.verb, call.arguments) for call in forty()]
    (folder / "looks.json").write_text(json.dumps(looks), encoding="utf-8")
    (folder / "deploy.py").write_text(_DEPLOY, encoding="utf-8")
    return sum(verb != "ensure" for verb, _ in looks)
