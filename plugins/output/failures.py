"""Failures below the result table: what was seen, the host's own words, what to do, and the command for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from plugins.output.lines import Indented, Stripped, unwrapped
from plugins.output.text import MORE, duration, log_name, one_line, plural, safe, status_word, unnamed
from plugins.results import RunResult, StageResult
from plugins.steps import Status, Step
from plugins.words import listed

LAST_LINES = 15  # of the host's own words
_LINE = 400  # characters of one such line
_BLOCKS = 20  # failure blocks, when not all are wanted
_NAMES = 12  # hosts named in one block
_COMMAND_HOSTS = 20  # --host options in one command


@dataclass(frozen=True)
class Failure:
    """One stage that failed on one host."""

    host: str
    stage: StageResult

    @property
    def steps(self) -> list[Step]:
        """The steps that failed; a list of checks may have several."""
        return [step for step in self.stage.steps if step.status is Status.FAILED]

    @property
    def seen(self) -> list[str]:
        """What was seen, one text for each failed step."""
        steps = self.steps
        if len(steps) > 1:
            return [safe(f"{step.name}: {step.message or 'failed'}") for step in steps]
        name = f"{steps[0].name}: " if steps else ""
        message = self.stage.message or (steps[0].message if steps else "")
        return [safe(message.removeprefix(name)).strip() or "no message"]

    @property
    def words(self) -> list[str]:
        """The host's own words, line by line."""
        said = next((step.output for step in self.steps if step.output), "")
        return safe(self.stage.output or said).rstrip().splitlines()

    def kind(self) -> tuple[str, ...]:
        """Equal for failures that differ in nothing but the host's name and addresses."""
        texts = (self.stage.name, *(step.name for step in self.steps), *self.seen, self.stage.todo)
        return (self.stage.status, *(unnamed(text, self.host) for text in texts))


def failures(result: RunResult, log_folder: Path | None, *, verbose: bool) -> Iterator[RenderableType]:
    """Yield one block per failure; the same failure on many hosts is one block."""
    kinds: dict[tuple[str, ...], list[Failure]] = {}
    for host in result.hosts.values():
        for stage in host.stages:
            if stage.status.bad:
                failure = Failure(host.name, stage)
                kinds.setdefault(failure.kind(), []).append(failure)
    blocks = list(kinds.values())
    shown = blocks if verbose else blocks[:_BLOCKS]
    for block in shown:
        yield Text()
        yield from _block(block, log_folder)
    if len(blocks) > len(shown):
        yield Text()
        yield Text(f"{MORE} {plural(len(blocks) - len(shown), 'more failure')}; --verbose shows all", style="red")


def _block(same: Sequence[Failure], log_folder: Path | None) -> Iterator[RenderableType]:
    first = same[0]
    steps = first.steps
    at = f" at step {one_line(steps[0].name)}" if len(steps) == 1 else f" at {len(steps)} steps" if steps else ""
    head = f"{plural(len(same), 'host')}: {first.stage.name}{at}"
    if len(same) == 1:
        head = f"{first.host}: {first.stage.name}{at}, after {duration(first.stage.seconds)}"
    yield Stripped(Text.assemble((status_word(first.stage.status), "bold red"), "  ", (head, "bold")))
    if len(same) > 1:
        yield Indented(listed([failure.host for failure in same], _NAMES))
        if any(failure.seen != first.seen for failure in same):
            yield Indented(f"seen on {first.host}, and likewise on the others:")
    yield from map(Indented, first.seen)
    yield from _own_words(first, log_folder)
    if first.stage.todo:
        yield Indented(f"What to do: {safe(first.stage.todo)}")
    yield from _rerun(same)


def _own_words(failure: Failure, log_folder: Path | None) -> Iterator[RenderableType]:
    words = failure.words
    if not words or words == failure.seen:
        return
    where = f"; all of it: {log_folder / log_name(failure.host)}" if log_folder else ""
    part = f"last {LAST_LINES} of {len(words)} lines" if len(words) > LAST_LINES else plural(len(words), "line")
    yield unwrapped(f"  The host's own words ({part}{where})")
    for line in words[-LAST_LINES:]:
        yield Indented(line if len(line) <= _LINE else line[:_LINE] + MORE, "dim", "    | ")


def _rerun(same: Sequence[Failure]) -> Iterator[RenderableType]:
    """Give the command that runs just this again, for all hosts of the block when their commands allow it."""
    first = same[0]
    if not first.stage.rerun:
        return
    option = f"--host {first.host}"
    alike = all(failure.stage.rerun == first.stage.rerun.replace(option, f"--host {failure.host}") for failure in same)
    if alike and len(same) <= _COMMAND_HOSTS:
        command = first.stage.rerun.replace(option, " ".join(f"--host {failure.host}" for failure in same))
        yield unwrapped(f"  Run again:  {one_line(command)}")
    else:
        yield unwrapped(f"  Run again:  {one_line(first.stage.rerun)}")
        yield Indented("and likewise for the other hosts, or the whole runbook: it does only what is missing")
