"""The steps protocol: what a script on a host says, line by line, and what a task returns.

A step line is the run's random marker followed by one JSON object:

    {"begin": NAME}                                     a step starts
    {"step": NAME, "status": ..., "seconds": ..., "diff": ..., "message": ..., "output": ..., "asks": ...}
    {"fact": NAME, "value": TEXT}                       something that was looked up
    {"secret": NAME, "value": TEXT}                     the same, and nobody may ever see it
    {"end": STEPS}                                      the script came to its end

Every other line is output: it goes to the host's log and is never taken for anything else.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nornir.core.inventory import Host
from nornir.core.task import Result

from plugins.secret import Secret

LINE_LIMIT = 2 * 1024 * 1024  # bytes; a longer line is cut for the log and cannot be a step line
_JSON = json.JSONDecoder(strict=False)
# C0 but tab and newline, DEL, C1, the characters that reorder or hide text on a terminal, and lone surrogates,
# which no file can hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Status(StrEnum):
    """How one step ended."""

    OK = "ok"
    CHANGED = "changed"
    WOULD_CHANGE = "would-change"
    FAILED = "failed"


class Asks(StrEnum):
    """What a changed step wants its task to do before it is really done."""

    NOTHING = ""
    REBOOT = "reboot"
    CONFIRM = "confirm"
    PUSH = "push"


@dataclass(frozen=True)
class Step:
    """One step of one script: texts are safe for a terminal, `seconds` is wall time on the host."""

    name: str
    status: Status
    seconds: float = 0.0
    diff: str = ""
    message: str = ""
    output: str = ""
    asks: Asks = Asks.NOTHING


@dataclass(frozen=True)
class Begin:
    """A step has started."""

    name: str


@dataclass(frozen=True)
class Fact:
    """A value that a script looked up on its host."""

    name: str
    value: str


@dataclass(frozen=True)
class SecretFact:
    """A secret that a script looked up on its host."""

    name: str
    value: Secret


@dataclass(frozen=True)
class End:
    """The script came to its end after `steps` steps."""

    steps: int


@dataclass(frozen=True)
class Output:
    """A line that is not a step line."""

    text: str


@dataclass(frozen=True)
class Garbled:
    """A line with the marker that is not of the protocol's form."""

    text: str


Event = Begin | Step | Fact | SecretFact | End | Output | Garbled


def visible(text: str) -> str:
    """Make control and bidirectional characters visible, so that host output is only ever text."""
    text = text.replace("\r\n", "\n")
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def parse_line(raw: bytes, marker: str) -> Event:
    """Read one line (without its newline) of a script's standard output."""
    if len(raw) > LINE_LIMIT:
        return Output(visible(raw[:4096].decode(errors="replace")) + f"... (line of {len(raw)} bytes)")
    text = raw.decode(errors="replace").removesuffix("\r")
    if not text.startswith(marker):
        return Output(visible(text))
    try:
        return _event(_JSON.decode(text.removeprefix(marker)))
    except (ValueError, KeyError, TypeError):
        return Garbled(visible(text))


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not math.isfinite(seconds):
        raise ValueError("not a time")
    return seconds


def _event(line: Mapping[str, Any]) -> Event:
    if "step" in line:
        return Step(
            name=visible(str(line["step"])),
            status=Status(line["status"]),
            seconds=_seconds(line["seconds"]),
            diff=visible(str(line.get("diff", ""))),
            message=visible(str(line.get("message", ""))),
            output=visible(str(line.get("output", ""))),
            asks=Asks(line.get("asks", "")),
        )
    if "begin" in line:
        return Begin(visible(str(line["begin"])))
    if "fact" in line:
        return Fact(str(line["fact"]), visible(str(line["value"])))
    if "secret" in line:
        return SecretFact(str(line["secret"]), Secret(str(line["value"])))
    return End(int(line["end"]))


@dataclass
class Transcript:
    """All that one script said, gathered event by event."""

    steps: list[Step] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    running: str = ""
    ended: bool = False
    garbled: str = ""

    def add(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case Begin(name):
                self.running = name
            case Step():
                self.steps.append(event)
                self.running = ""
            case Fact(name, value):
                self.facts[name] = value
            case SecretFact(name, secret):
                self.secrets[name] = secret
            case End(steps):
                self.ended = steps == len(self.steps)
            case Garbled(text):
                self.garbled = text
            case Output():
                pass

    @property
    def failed(self) -> Step | None:
        """The step that failed, if one did."""
        return next((step for step in self.steps if step.status is Status.FAILED), None)


class StepsResult(Result):
    """A task's result: its steps and facts; `changed`, `diff` and `failed` follow from the steps.

    `would_change` is set apart from Nornir's `changed`, which only ever means that something was written.
    `todo` is the next thing an operator should do about a failed step, where the task knows better than the step.
    `lost` says that the connection ended before the script did.
    """

    def __init__(
        self,
        host: Host | None,
        steps: tuple[Step, ...] = (),
        facts: Mapping[str, str] | None = None,
        todo: str = "",
        secrets: Mapping[str, Secret] | None = None,
    ) -> None:
        super().__init__(
            host,
            result=", ".join(f"{step.name}: {step.status}" for step in steps),
            changed=any(step.status is Status.CHANGED for step in steps),
            diff="".join(step.diff for step in steps),
            failed=any(step.status is Status.FAILED for step in steps),
        )
        self.steps = steps
        self.facts = dict(facts or {})
        self.secrets = dict(secrets or {})
        self.todo = todo
        self.lost = False
        self.would_change = any(step.status is Status.WOULD_CHANGE for step in steps)

    def __add__(self, other: StepsResult) -> StepsResult:
        """Chain the results of two scripts of one task."""
        return StepsResult(
            self.host,
            self.steps + other.steps,
            self.facts | other.facts,
            other.todo or self.todo,
            self.secrets | other.secrets,
        )
