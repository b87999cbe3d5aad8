"""The table at the end of a run and all that stands below it, read as an operator would."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from plugins.output.tables import summary
from plugins.results import HostResult, RunPlan, RunResult, StageResult, StageStatus
from plugins.secret import Secret
from plugins.steps import Status, Step

STAGES = (
    "preflight",
    "network-checks",
    "install",
    "bridge",
    "authority",
    "certificates",
    "central",
    "join",
    "inspect",
    "verify",
)
MOMENT = datetime(2026, 11, 23, 5, 14, 9, tzinfo=UTC)
LOGS = Path("logs/20261123T051409Z-1f3a")


def stage(name: str, status: StageStatus = StageStatus.OK, steps: int = 2, *, message: str = "") -> StageResult:
    """A stage with `steps` steps of its own status, where a step can have it."""
    made = (Step("packages", Status(status.value)),) * steps if status.value in set(Status) else ()
    return StageResult(name, status, 1.5, MOMENT, made, message=message)


def host(name: str, *stages: StageResult, role: str = "linux", seconds: float = 12.3) -> HostResult:
    return HostResult(name, role, list(stages), seconds)


def run_of(
    *hosts: HostResult,
    stages: tuple[str, ...] = ("install", "bridge", "verify"),
    exit_code: int | None = None,
    dry_run: bool = False,
    running: dict[str, str] | None = None,
) -> RunResult:
    names = {host.name: host.role for host in hosts}
    plan = RunPlan("20261123T051409Z-1f3a", "bootstrap", "Overlay", "lab", "current", dry_run, stages, names)
    bad = any(host.status.bad for host in hosts)
    code = int(bad) if exit_code is None else exit_code
    finished = MOMENT + timedelta(seconds=102)
    return RunResult(plan, MOMENT, finished, code, {host.name: host for host in hosts}, running or {})


def shown(result: RunResult, width: int = 120, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False, no_color=True)
    with console.capture() as capture:
        console.print(summary(result, width=width, **options), crop=False)  # type: ignore[arg-type]
    return capture.get()


def rows(text: str) -> list[list[str]]:
    """The table's lines as words, up to the first empty line."""
    return [line.split() for line in text.split("\n\n", maxsplit=1)[0].splitlines()]


def ok_host(name: str, role: str = "linux") -> HostResult:
    return host(name, *(stage(each) for each in ("install", "bridge", "verify")), role=role)


def failed_host(name: str, **texts: str) -> HostResult:
    step = Step("packages", Status.FAILED, message=texts.get("message", "no space"), output=texts.get("output", ""))
    result = StageResult(
        "install",
        StageStatus.FAILED,
        9.8,
        MOMENT,
        (Step("keys", Status.OK), step),
        message=f"packages: {step.message}",
        output=step.output,
        todo=texts.get("todo", "make room on /var"),
        rerun=f"python -m runbooks.task install --host {name}",
    )
    reason = f"needs install on {name}: bridges are made by Open vSwitch"
    return host(name, result, stage("bridge", StageStatus.SKIPPED, message=reason))


def test_a_wide_table_tells_each_stage_in_words() -> None:
    """One row per host, stages as columns, all four counts and seconds."""
    result = run_of(
        host("master-1", stage("install", StageStatus.CHANGED, 3), stage("bridge"), stage("verify"), role="master"),
        failed_host("linux-1"),
        host("linux-2", stage("install", StageStatus.UNREACHABLE, message="connect: no answer")),
    )
    assert rows(shown(result)) == [
        ["host", "role", "install", "bridge", "verify", "changed", "ok", "failed", "would", "time"],
        ["master-1", "master", "changed", "3", "ok", "ok", "3", "4", "0", "0", "12.3", "s"],
        ["linux-1", "linux", "FAILED", "skipped", "-", "0", "1", "1", "0", "12.3", "s"],
        ["linux-2", "linux", "UNREACHABLE", "-", "-", "0", "0", "1", "0", "12.3", "s"],
    ]


def cluster(*, dry_run: bool = False) -> RunResult:
    """Three hosts that went through all ten stages of a bootstrap."""
    changed = StageStatus.WOULD_CHANGE if dry_run else StageStatus.CHANGED
    hosts = [
        host(name, *(stage(each, changed if each == "install" else StageStatus.OK) for each in STAGES), role=role)
        for name, role in (("master-1", "master"), ("linux-1", "linux"), ("linux-2", "linux"))
    ]
    return run_of(*hosts, stages=STAGES, dry_run=dry_run)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 200])
@pytest.mark.parametrize("dry_run", [False, True])
def test_the_table_fits_every_width(width: int, dry_run: bool) -> None:
    """However narrow, no line of the table is wider than the terminal and every host's name is there in full."""
    text = shown(cluster(dry_run=dry_run), width).split("\n\n", maxsplit=1)[0]
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert all(name in text for name in ("master-1", "linux-1", "linux-2"))
    assert [line for line in shown(failing(), width).splitlines() if line != line.rstrip()] == []


def failing() -> RunResult:
    return run_of(failed_host("linux-1", output="word " * 100), ok_host("linux-2"))


def test_ten_stages_at_120_cells_have_headings_on_two_lines() -> None:
    """Short signs with an explanation take the place of words."""
    text = shown(cluster(), 120)
    assert text.splitlines()[0].split() == ["prefl-", "network-", "autho-", "certif-"]
    assert text.splitlines()[2].split()[:5] == ["master-1", "master", "ok", "ok", "+2"]
    assert "+3: changed 3" in text


def test_ten_stages_at_80_cells_are_told_in_a_row() -> None:
    """One column tells all stages, equal neighbours together."""
    assert rows(shown(cluster(), 80))[0] == ["host", "role", "changed", "ok", "time", "stages"]
    assert "preflight, network-checks ok" in shown(cluster(), 80)
    skipped = host("windows-1", *(stage(each, StageStatus.SKIPPED) for each in STAGES), role="windows")
    assert "all stages skipped" in shown(run_of(skipped, stages=STAGES), 80)


def test_a_second_run_shows_that_nothing_changed() -> None:
    """The count of changes is there even when it is 0 and the table is narrow."""
    result = run_of(host("linux-1", *(stage(each) for each in STAGES)), stages=STAGES)
    assert rows(shown(result, 80)) == [
        ["host", "role", "changed", "ok", "time", "stages"],
        ["linux-1", "linux", "0", "20", "12.3", "s", "all", "stages", "ok"],
    ]
    assert shown(result, 80).splitlines()[-1] == "All well on 1 host after 1m 42s: changed nothing (exit status 0)."


def test_a_long_host_name_is_wrapped_and_not_cut() -> None:
    """Two names that differ in their last character can be told apart at any width."""
    names = ["a" * 62 + "1", "a" * 62 + "2"]
    text = shown(run_of(*map(ok_host, names)), 40).split("\n\n", maxsplit=1)[0]
    joined = "".join(line.split(" ")[0] for line in text.splitlines()[1:])
    assert all(name in joined for name in names)


def test_a_failure_says_all_that_is_needed_to_mend_it() -> None:
    """Host, stage, step, what was seen, the host's own words, what to do, and the command that runs just that."""
    output = "\n".join(f"line {number}" for number in range(1, 41))
    text = shown(run_of(failed_host("linux-1", output=output), ok_host("linux-2")), log_folder=LOGS)
    block = text.split("\n\n")[1].splitlines()
    assert block == [
        "FAILED  linux-1: install at step packages, after 9.8 s",
        "  no space",
        f"  The host's own words (last 15 of 40 lines; all of it: {LOGS}/linux-1.log)",
        *(f"    | line {number}" for number in range(26, 41)),
        "  What to do: make room on /var",
        "  Run again:  python -m runbooks.task install --host linux-1",
    ]
    assert text.splitlines()[-1] == (
        "1 of 2 hosts failed after 1m 42s: linux-1 at install (exit status 1: a host failed)."
    )


def test_every_failed_check_is_told() -> None:
    """A list of checks may fail in several places at once."""
    steps = (Step("disk", Status.FAILED, message="1 GB, want 8 GB"), Step("clock", Status.FAILED, message="40 s off"))
    result = StageResult("preflight", StageStatus.FAILED, steps=steps, message="disk: 1 GB, want 8 GB (and 1 more)")
    assert "FAILED  linux-1: preflight at 2 steps, after 0.0 s\n  disk: 1 GB, want 8 GB\n  clock: 40 s off\n" in shown(
        run_of(host("linux-1", result), stages=("preflight",))
    )


def test_host_text_is_only_ever_text() -> None:
    """Markup, escape codes, wide characters and secrets in a host's words do no harm."""
    Secret("correct-horse-battery")
    words = "[red]a[/red] [/tmp/x] :smile: \x1b[2J\x1b]0;title\x07 漢字 correct-horse-battery"
    text = shown(run_of(failed_host("linux-1", message=words, output=f"first\n{words}", todo=words)))
    expected = r"[red]a[/red] [/tmp/x] :smile: \x1b[2J\x1b]0;title\x07 漢字 ***"
    assert text.count(expected) == 3
    assert "\x1b" not in text


def test_a_line_of_a_megabyte_does_not_flood_the_terminal() -> None:
    """One line of a host's words is cut at some hundred characters, and says so."""
    text = shown(run_of(failed_host("linux-1", output="first\n" + "ŋ" * 1_000_000)))
    assert len(text) < 3000
    assert "ŋŋŋ…" in text


def test_a_command_stays_on_one_line() -> None:
    """What is meant to be copied is not broken at the edge."""
    text = shown(run_of(failed_host("a-host-with-a-rather-long-name-1")), 40)
    assert "\n  Run again:  python -m runbooks.task install --host a-host-with-a-rather-long-name-1\n" in text


def test_the_same_failure_on_many_hosts_is_one_block() -> None:
    """Hosts that differ only in name and address share it, and one command runs them all again."""
    hosts = [
        host(
            f"linux-{number}",
            StageResult(
                "install",
                StageStatus.UNREACHABLE,
                15.0,
                message=f"connect: 10.142.0.{number} port 22: no answer",
                rerun=f"python -m runbooks.task install --host linux-{number} -i /tmp/site",
            ),
        )
        for number in range(1, 4)
    ]
    text = shown(run_of(*hosts))
    assert text.split("\n\n")[1].splitlines() == [
        "UNREACHABLE  3 hosts: install",
        "  linux-1, linux-2, linux-3",
        "  seen on linux-1, and likewise on the others:",
        "  connect: 10.142.0.1 port 22: no answer",
        "  Run again:  python -m runbooks.task install --host linux-1 --host linux-2 --host linux-3 -i /tmp/site",
    ]


def test_different_failures_are_told_apart() -> None:
    """Another message is another block."""
    text = shown(run_of(failed_host("linux-1"), failed_host("linux-2", message="no such package")))
    assert text.count("Run again:") == 2
    assert "FAILED  linux-1: " in text
    assert "FAILED  linux-2: " in text


def test_skipped_stages_are_told_by_reason() -> None:
    """One line per reason; consequences go with their cause, and a failed host's own stages are left out."""
    cause = "needs central on master-1: a chassis registers there"

    def waiting(name: str) -> HostResult:
        consequence = f"needs join on {name}: there is nothing to inspect"
        return host(
            name,
            stage("install"),
            stage("join", StageStatus.SKIPPED, message=cause),
            stage("verify", StageStatus.SKIPPED, message=consequence),
        )

    windows = host("windows-1", stage("install", StageStatus.SKIPPED, message="no Windows tasks yet"), role="windows")
    text = shown(
        run_of(
            waiting("linux-1"),
            waiting("linux-2"),
            failed_host("linux-3"),
            windows,
            stages=("install", "join", "verify"),
        )
    )
    assert (
        f"\nSkipped\n  {cause}: linux-1, linux-2 (join, verify)\n  no Windows tasks yet: windows-1 (all stages)\n"
        in text
    )
    assert "bridges are made by" not in text


def test_a_dry_run_shows_what_would_change() -> None:
    """Steps with messages and diffs, host by host; hosts that differ in names and addresses only, together."""

    def would(name: str, address: str) -> HostResult:
        step = Step(
            "file /etc/x", Status.WOULD_CHANGE, diff=f"--- a\n+++ b\n-[old]\n+ip {address}\n", message="differs"
        )
        return host(name, StageResult("install", StageStatus.WOULD_CHANGE, steps=(step, Step("k", Status.OK))))

    text = shown(run_of(would("linux-1", "10.0.0.1"), would("linux-2", "10.0.0.2"), ok_host("linux-3"), dry_run=True))
    assert text.split("\n\n")[1].splitlines() == [
        "linux-1 would change",
        "  (but for names and addresses the same on linux-2)",
        "  install, file /etc/x: differs",
        "    --- a",
        "    +++ b",
        "    -[old]",
        "    +ip 10.0.0.1",
    ]
    assert "\nDry run: would change 2 steps on 2 hosts; nothing was written.\n" in text
    assert text.splitlines()[-1].endswith("would change 2 steps on 2 hosts (dry run; exit status 0).")


def test_a_long_diff_is_cut_and_says_where_the_rest_is() -> None:
    """The screen shows its beginning, the log has all; --verbose shows all."""
    step = Step("file /etc/x", Status.WOULD_CHANGE, diff="".join(f"+{number}\n" for number in range(100)))
    result = run_of(host("linux-1", StageResult("install", StageStatus.WOULD_CHANGE, steps=(step,))), dry_run=True)
    brief, full = shown(result, log_folder=LOGS), shown(result, log_folder=LOGS, verbose=True)
    assert f"  … 61 more lines: {LOGS}/linux-1.log" in brief
    assert "+99" not in brief
    assert "+99" in full


def test_an_interruption_says_what_was_running_where() -> None:
    """It tells that a re-run is safe."""
    result = run_of(ok_host("linux-1"), host("linux-2"), exit_code=130, running={"linux-2": "install: [packages]"})
    text = shown(result)
    assert "Interrupted while running\n  linux-2: install: [packages]\n" in text
    assert "a new script waits for one that still runs" in " ".join(text.split())
    assert "Running again is safe" in text
    assert text.splitlines()[-1] == (
        "Interrupted after 1m 42s: something was running on 1 host (exit status 130: interrupted)."
    )


def test_300_hosts_are_summed_up() -> None:
    """Failed hosts have a row each, hosts that ended alike share one, and those where all was ok share a line."""
    changed = [
        host(f"linux-{number}", stage("install", StageStatus.CHANGED), stage("bridge"), stage("verify"), seconds=number)
        for number in range(1, 101)
    ]
    result = run_of(failed_host("linux-500"), *changed, *(ok_host(f"linux-{number}") for number in range(200, 399)))
    table = rows(shown(result))
    assert [row[:2] for row in table[1:3]] == [["linux-500", "linux"], ["linux-100", "(+99)"]]
    assert table[-1] == ["199", "more", "hosts:", "all", "ok"]
    assert len(rows(shown(result, verbose=True))) == 301


def test_300_hosts_where_all_is_ok_are_one_line() -> None:
    """There is no table to read when there is nothing to tell apart."""
    result = run_of(*(ok_host(f"linux-{number}") for number in range(300)))
    assert shown(result).splitlines()[0] == "300 hosts: all ok"


def test_300_failed_hosts_do_not_flood_the_terminal() -> None:
    """Rows and blocks are capped, and the text says how to see the rest."""
    result = run_of(*(failed_host(f"linux-{number}", message=f"reason {number}") for number in range(300)))
    text = shown(result)
    assert "260 more hosts failed; --verbose shows all" in text
    assert "280 more failures; --verbose shows all" in text
    assert len(text.splitlines()) < 200
    assert "reason 299" in shown(result, verbose=True)


def test_warnings_logs_and_report_stand_before_the_verdict() -> None:
    """The last line is the verdict; what was kept, and what could not be, stands right above."""
    text = shown(run_of(ok_host("linux-1")), log_folder=LOGS, report=Path("r.json"), warnings=["report [x]: no\nspace"])
    assert text.splitlines()[-4:] == [
        "Warning: report [x]: no space",
        f"Logs: {LOGS}",
        "Report: r.json",
        "All well on 1 host after 1m 42s: changed nothing (exit status 0).",
    ]


def test_an_exit_status_without_a_failed_host_is_not_called_well() -> None:
    """A lock that was lost on the way is told by its meaning."""
    assert shown(run_of(ok_host("linux-1"), exit_code=3)).splitlines()[-1] == (
        "The run failed after 1m 42s (exit status 3: another run holds the lock)."
    )
