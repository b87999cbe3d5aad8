"""The JSON report against the form that docs/output.md promises, and how its file comes to be."""

from __future__ import annotations

import json
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.errors import UsageError
from plugins.processors.report import Report, check_report_path, write_report
from plugins.results import HostResult, Link, RunPlan, RunResult, StageResult, StageStatus
from plugins.secret import Secret
from plugins.steps import Status, Step

DOCUMENT = Path(__file__).parents[2] / "docs" / "output.md"
STARTED = datetime(2026, 11, 23, 5, 14, 9, tzinfo=UTC)
DIFF = "--- /etc/modules-load.d/ovn.conf\n+++ /etc/modules-load.d/ovn.conf\n@@ -0,0 +1 @@\n+geneve\n"


def documented() -> tuple[Any, Any]:
    """The schema and the example of docs/output.md."""
    schema, example = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return json.loads(schema), json.loads(example)


def run_result(*hosts: HostResult, exit_code: int = 1) -> RunResult:
    plan = RunPlan(
        run_id="20261123T051409Z-1f3a",
        runbook="bootstrap",
        title="Bare hosts to an OVN overlay",
        cluster="lab",
        release="current",
        dry_run=False,
        stages=("install", "bridge"),
        hosts={host.name: host.role for host in hosts},
    )
    finished = STARTED + timedelta(seconds=42.25)
    chain = (Link("install", "master-1", 12.3),)
    return RunResult(plan, STARTED, finished, exit_code, {host.name: host for host in hosts}, critical_path=chain)


def example_result() -> RunResult:
    began = STARTED + timedelta(seconds=1)
    steps = (
        Step("packages", Status.OK, 0.2, output="up to date"),
        Step("file /etc/modules-load.d/ovn.conf", Status.CHANGED, 0.004, DIFF),
    )
    installed = StageResult("install", StageStatus.CHANGED, 12.3, began, steps)
    lost = StageResult(
        "install",
        StageStatus.UNREACHABLE,
        15.0,
        began,
        message="10.142.0.3 port 22: no answer within 15 s",
        todo="look",
    )
    left_out = StageResult(
        "bridge", StageStatus.SKIPPED, message="needs install on linux-1: bridges are made by Open vSwitch"
    )
    return run_result(
        HostResult("master-1", "master", [installed], 12.3),
        HostResult("linux-1", "linux", [lost, left_out], 15.0),
    )


def one_stage(stage: StageResult) -> RunResult:
    return run_result(HostResult("linux-1", "linux", [stage]))


def written(path: Path, result: RunResult) -> Any:
    write_report(path, result)
    return json.loads(path.read_text())


def steps_of(path: Path, stage: StageResult) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = written(path, one_stage(stage))["hosts"]["linux-1"]["stages"][0]["steps"]
    return steps


def violations(value: Any, schema: dict[str, Any], where: str = "report") -> list[str]:
    """Check the part of JSON Schema that the documented one uses."""
    types = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool}
    found = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{where}: not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    kind = schema.get("type")
    if isinstance(kind, str) and not isinstance(value, types[kind]):
        found.append(f"{where}: {value!r} is no {kind}")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value]
        for name, inner in value.items():
            rule = known.get(name, schema.get("additionalProperties", True))
            found += [f"{where}: {name} is unknown"] if rule is False else violations(inner, rule, f"{where}.{name}")
    if isinstance(value, list):
        found += [text for inner in value for text in violations(inner, schema["items"], f"{where}[]")]
    return found


def test_the_written_report_is_the_documented_example(tmp_path: Path) -> None:
    """What a consumer reads in the documentation is what the program writes, field by field."""
    assert written(tmp_path / "r.json", example_result()) == documented()[1]


def test_the_written_report_keeps_to_the_documented_schema(tmp_path: Path) -> None:
    """No field is missing, none is unknown, every status is a listed one."""
    assert violations(written(tmp_path / "r.json", example_result()), documented()[0]) == []


def test_the_schema_check_finds_what_does_not_fit() -> None:
    """The check behind the test above is one that can fail."""
    schema, example = documented()
    example["hosts"]["linux-1"]["stages"][0]["steps"][0]["status"] = "skipped"
    example["run"]["todo"] = ""
    del example["version"]
    assert len(violations(example, schema)) == 3


def test_the_file_is_private_and_nothing_else_is_left(tmp_path: Path) -> None:
    """The report has mode 0600 whatever the umask, its new folder 0700, and no temporary file stays."""
    before = os.umask(0)
    try:
        write_report(tmp_path / "reports" / "r.json", example_result())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "reports" / "r.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "reports").stat().st_mode) == 0o700
    assert [entry.name for entry in (tmp_path / "reports").iterdir()] == ["r.json"]


def test_a_failed_write_leaves_the_old_report(tmp_path: Path) -> None:
    """A report that cannot be built does not damage the one that is there."""
    path = tmp_path / "r.json"
    path.write_text("old")
    broken = one_stage(StageResult("install", StageStatus.OK, seconds=float("nan"), started="never"))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        write_report(path, broken)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_goes_on_leading_to_its_file(tmp_path: Path) -> None:
    """The file behind a symbolic link is replaced, not the link."""
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    write_report(tmp_path / "link.json", example_result())
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["version"] == 1


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """A named pipe stays one, and its reader gets the report."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_report(pipe, example_result())
        assert json.loads(os.read(reader, 65536)) == documented()[1]
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_no_secret_reaches_the_report(tmp_path: Path) -> None:
    """Names, diffs and messages are redacted."""
    Secret("correct-horse-battery")
    step = Step("set correct-horse-battery", Status.CHANGED, 0, "+correct-horse-battery", "is correct-horse-battery")
    write_report(tmp_path / "r.json", one_stage(StageResult("install", StageStatus.CHANGED, steps=(step,))))
    text = (tmp_path / "r.json").read_text()
    assert "correct-horse" not in text
    assert text.count("***") == 3


def test_half_a_surrogate_pair_does_not_break_the_report(tmp_path: Path) -> None:
    """JSON from a host can carry what UTF-8 cannot; it is written as its escape."""
    step = Step("packages", Status.OK, message="odd \ud800 text")
    assert steps_of(tmp_path / "r.json", StageResult("install", StageStatus.OK, steps=(step,)))[0]["message"] == (
        "odd \\ud800 text"
    )


@pytest.mark.parametrize(
    ("status", "name", "record"),
    [
        (StageStatus.FAILED, "install", "failed"),
        (StageStatus.UNREACHABLE, "connect", "failed"),
        (StageStatus.SKIPPED, "skipped", "ok"),
    ],
)
def test_a_stage_without_a_failed_step_still_tells_its_reason(
    tmp_path: Path, status: StageStatus, name: str, record: str
) -> None:
    """The reason stands in one more record, as the listed fields have no other place for it."""
    done = Step("packages", Status.OK)
    steps = steps_of(tmp_path / "r.json", StageResult("install", status, steps=(done,), message="the reason"))
    assert [(step["name"], step["status"], step["message"]) for step in steps] == [
        ("packages", "ok", ""),
        (name, record, "the reason"),
    ]


def test_a_time_that_is_no_number_does_not_break_the_report(tmp_path: Path) -> None:
    """A host can send NaN, which is not JSON."""
    step = Step("packages", Status.OK, float("nan"))
    write_report(tmp_path / "r.json", one_stage(StageResult("install", StageStatus.OK, steps=(step,))))
    assert "NaN" not in (tmp_path / "r.json").read_text()


def test_a_failed_step_is_reason_enough(tmp_path: Path) -> None:
    """Nothing is added beside a failed step; one without a message of its own gets the stage's."""
    failed = Step("packages", Status.FAILED)
    stage = StageResult("install", StageStatus.FAILED, steps=(failed,), message="no space")
    assert [(step["name"], step["message"]) for step in steps_of(tmp_path / "r.json", stage)] == [
        ("packages", "no space")
    ]


def test_an_interrupted_run_is_reported(tmp_path: Path) -> None:
    """A host on which nothing had ended yet is there too, with no stages."""
    processor = Report(tmp_path / "r.json")
    processor.run_completed(run_result(HostResult("linux-1", "linux"), exit_code=130))
    report = json.loads((tmp_path / "r.json").read_text())
    assert processor.written
    assert report["run"]["exit_code"] == 130
    assert report["hosts"]["linux-1"] == {"role": "linux", "status": "skipped", "seconds": 0.0, "stages": []}


def test_a_report_that_could_not_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    """A folder in place of the file, or a file in place of the folder, is an error of the command line."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a folder"):
        check_report_path(tmp_path)
    with pytest.raises(UsageError, match="its folder cannot be made"):
        check_report_path(tmp_path / "file" / "r.json")
    check_report_path(tmp_path / "new" / "r.json")
    assert (tmp_path / "new").is_dir()
