"""The JSON Schema for editors: current, and of one mind with the loader about the shipped files and common slips."""

import copy
import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from plugins.inventory import export
from plugins.inventory.model import ClusterSettings, Entry, HostData, SshSettings, SudoSettings

FOLDER = export.SCHEMA.parent


def validator(file: str) -> Draft202012Validator:
    """Validate against one file's part, as an editor does that is told `schema.json#/$defs/FILE`."""
    return Draft202012Validator(json.loads(export.SCHEMA.read_text()) | {"$ref": f"#/$defs/{file}"})


def test_the_shipped_schema_is_current(capsys):
    """schema.json is what the models say today; --check would complain otherwise."""
    assert export.main(["--check"]) == 0, capsys.readouterr().err
    assert export.SCHEMA.read_text() == export.text()


def test_check_complains_about_an_old_schema(tmp_path, monkeypatch, capsys):
    """--check is exit status 1 with the command to run; without it the file is written."""
    monkeypatch.setattr(export, "SCHEMA", tmp_path / "schema.json")
    assert export.main(["--check"]) == 1
    assert "run: python -m plugins.inventory.export" in capsys.readouterr().err
    assert export.main([]) == 0
    assert export.main(["--check"]) == 0
    assert export.main(["--chek"]) == 2


def test_the_schema_is_a_schema():
    """It is valid by its own standard."""
    Draft202012Validator.check_schema(export.schema())


@pytest.mark.parametrize("file", ["hosts", "groups", "defaults"])
def test_the_shipped_files_fit(file):
    """The example inventory has nothing that an editor would mark, and names its part of the schema."""
    text = (FOLDER / f"{file}.yaml").read_text()
    assert text.startswith(f"# yaml-language-server: $schema=schema.json#/$defs/{file}\n")
    assert [error.message for error in validator(file).iter_errors(yaml.safe_load(text))] == []


def changed(file: str, path: list[str], value):
    """Give a shipped file's content with one key changed."""
    content = copy.deepcopy(yaml.safe_load((FOLDER / f"{file}.yaml").read_text()))
    block = content
    for key in path[:-1]:
        block = block.setdefault(key, {})
    block[path[-1]] = value
    return content


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        ("hosts", ["linux-1", "hostnam"], "a"),
        ("hosts", ["linux-1", "password"], "hunter2"),
        ("hosts", ["linux-1", "port"], 70000),
        ("hosts", ["linux-1", "groups"], "linux"),
        ("hosts", ["linux-1", "data"], {"adress": "10.0.0.1"}),
        ("hosts", ["linux-1", "data"], {"ssh": {"password": "hunter2"}}),
        ("hosts", ["linux-1", "data"], {"ssh": {"password": {"env": "A", "file": "b"}}}),
        ("hosts", ["linux-1", "data"], {"labels": {"rack": 3}}),
        ("groups", ["linux", "data"], {"address": "10.0.0.1"}),
        ("defaults", ["data", "ssh", "host_keys"], "no"),
        ("defaults", ["data", "cluster", "name"], "Demo"),
        ("defaults", ["data", "cluster", "node_prefix"], "24"),
    ],
)
def test_common_slips_are_marked(file, path, value):
    """What the loader would refuse in one key, the editor marks already."""
    assert list(validator(file).iter_errors(changed(file, path, value)))


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        ("hosts", ["linux-1", "data"], None),
        ("hosts", ["linux-1", "data"], {"ssh": None, "labels": None, "address": "10.0.0.1"}),
        ("hosts", ["linux-1", "data"], {"ssh": {"password": {"command": ["pass", "show", "x"]}, "config_file": None}}),
        ("groups", ["linux"], None),
        ("groups", ["site"], {"groups": ["linux"], "data": {"mtu": 1400}}),
        ("defaults", ["data", "cluster", "host_network"], None),
    ],
)
def test_what_the_loader_takes_is_not_marked(file, path, value):
    """Blocks with nothing in them, lists and nulls are no errors to the editor either."""
    assert [error.message for error in validator(file).iter_errors(changed(file, path, value))] == []


def test_every_key_is_described_and_documented():
    """Each key has a description for the editor's hover, and stands in docs/inventory.md."""
    documentation = (FOLDER.parent / "docs" / "inventory.md").read_text()
    for model in (Entry, HostData, SshSettings, SudoSettings, ClusterSettings):
        for key, field in model.model_fields.items():
            assert field.description, key
            assert f"`{key}`" in documentation, key
