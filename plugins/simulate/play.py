"""A script as it plays on a simulated host: the same lines as the library's engine, and what faults do to them."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

from plugins.simulate.effects import Complain, Cut, Effect, Part, Pause, Say, Script
from plugins.simulate.faults import Fault, garbage
from plugins.simulate.script import ReadScript
from plugins.simulate.vocabulary import ActFailedError, FreeVerb, ScriptEndedError, StepVerb, Verb
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

CAP = 65536  # as STEPS_CAP of the library
POLL = 0.05  # seconds between looks at another script's lock
_BEFORE = ("cut", "garbage", "crash")
_INSTEAD = ("hang", "fail", "exit")
NO_SPACE = "No space left on device"


class Play:
    """One script on one host, whose verbs are those of its system."""

    def __init__(self, host: SimulatedHost, script: ReadScript, verbs: Mapping[str, Verb]) -> None:
        self.host, self.script, self._verbs = host, script, verbs
        self.touched: set[str] = set()
        self.wanted: list[str] = []
        self._count = 0
        self._verb = ""
        self._name, self._began = "", 0.0
        self._half = False

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be written."""
        return self.script.dry_run

    def run(self) -> Script:
        """Play the whole script; the host's lock is let go however it ends."""
        try:
            yield Say(b"\n")
            yield from self._starting()
            if not self.dry_run:
                yield from self._lock()
            for call in self.script.calls:
                self._verb = call.verb
                yield from self._call(call.verb, call.arguments)
            yield self._line({"end": self._count})
        except ScriptEndedError as over:
            return over.status
        finally:
            self.host.unlock(self)
        return 0

    def _starting(self) -> Part:
        names = ("start", f"{self.script.task}/start")
        if fault := self.host.strike(("mute", "hang", "exit", *_BEFORE), *names):
            if fault.kind == "mute":
                raise ScriptEndedError(0)
            yield from self._disturb(fault)
            if fault.kind == "hang":
                yield Pause(fault.seconds(math.inf))
            elif fault.kind == "exit":
                yield Complain(f"{fault.text('output', 'bash: cannot start')}\n".encode())
                raise ScriptEndedError(fault.number("status", 1))

    def _lock(self) -> Part:
        owner = self.host.lock_owner
        if not self.host.lock(self, self.script.owner):
            yield from self.begin(f"wait for {owner}")
            until = monotonic() + self.script.wait
            while not self.host.lock(self, self.script.owner):
                if monotonic() >= until:
                    yield from self.fail(f"after {self.script.wait:g} s {owner} still runs on this host")
                yield Pause(POLL)
            yield from self.report(Status.OK)

    def _call(self, name: str, arguments: tuple[str, ...]) -> Part:
        verb = self._verbs[name]
        if len(arguments) < verb.least or (verb.most is not None and len(arguments) > verb.most):
            wanted = str(verb.least) if verb.least == verb.most else f"{verb.least} to {verb.most or 'any number'}"
            yield Complain(f"simulated host: {name} takes {wanted} arguments, not {len(arguments)}\n".encode())
            raise ScriptEndedError(2)
        if isinstance(verb, FreeVerb):
            yield from verb.play(self, *arguments)
        else:
            yield from self.step(verb, arguments)

    def step(self, verb: StepVerb, arguments: tuple[str, ...]) -> Part:
        """Play one step: look, act only if it must, look again."""
        yield from self.begin(verb.title(*arguments))
        seen = verb.look(self, *arguments)
        if seen.code == 0:
            yield from self.report(Status.OK, message=seen.message)
            return
        if seen.code > 2 or (seen.code == 2 and not self.dry_run):
            yield from self.fail(seen.message, diff=seen.diff)
        if touches := verb.touches(*arguments):
            self.touched.add(touches)
        if self.dry_run:
            yield from self.report(Status.WOULD_CHANGE, seen.diff, seen.message)
            return
        if output := (yield from self._act(verb, arguments)):
            yield from self.fail("; ".join(filter(None, [seen.message, "the change failed"])), output=output)
        after = verb.look(self, *arguments)
        if after.code != 0:
            message = "; ".join(filter(None, [after.message, "still not as wanted after the change"]))
            yield from self.fail(message, diff=after.diff)
        yield from self.report(Status.CHANGED, seen.diff)

    def _act(self, verb: StepVerb, arguments: tuple[str, ...]) -> Generator[Effect, bytes | None, str]:
        """Make the change; what the commands of a failed one printed comes back."""
        if self.host.strike(("disk-full",), *self._names()):
            return f"cannot write: {NO_SPACE}"
        try:
            if (waiting := verb.act(self, *arguments)) is not None:
                yield from waiting
        except ActFailedError as error:
            return str(error)
        return ""

    def begin(self, name: str) -> Part:
        """Begin a step; faults that name it, its verb or its stage strike here."""
        self._name, self._began = name, monotonic()
        if fault := self.host.strike(_BEFORE, *self._names()):
            yield from self._disturb(fault)
        yield from self._reply({"begin": name})
        if fault := self.host.strike(_INSTEAD, *self._names()):
            if fault.kind == "hang":
                yield Pause(fault.seconds(math.inf))
            elif fault.kind == "exit":
                raise ScriptEndedError(fault.number("status", 1))
            else:
                yield from self.fail("the change failed", output=fault.text("output", "a fault that was asked for"))

    def _names(self) -> tuple[str, ...]:
        task = self.script.task
        return (task, self._verb, self._name, f"{task}/{self._verb}", f"{task}/{self._name}")

    def _disturb(self, fault: Fault) -> Part:
        match fault.kind:
            case "cut" if fault.text("at", "before") == "middle":
                self._half = True
            case "cut":
                yield Cut()
            case "garbage":
                yield Say(garbage())
            case "crash":
                self.host.crash(fault.seconds(self.host.world.timing.reboot))
                yield Pause(math.inf)
            case _:
                pass

    def report(self, status: Status, diff: str = "", message: str = "", output: str = "", asks: str = "") -> Part:
        """End the step with `status`."""
        self._count += 1
        line: dict[str, Any] = {"step": self._name, "status": status, "seconds": round(monotonic() - self._began, 6)}
        texts = {"diff": diff, "message": message, "output": output, "asks": asks}
        line |= {name: _capped(text) for name, text in texts.items() if text}
        if self._half:
            self._half = False
            whole = self._line(line).data
            yield Say(whole[: len(whole) // 2])
            yield Cut()
            yield Say(whole[len(whole) // 2 :])
        else:
            yield from self._reply(line)

    def fail(self, message: str, *, diff: str = "", output: str = "") -> Part:
        """End the step, and the script, as failed."""
        yield from self.report(Status.FAILED, diff, message, output)
        yield self._line({"end": self._count})
        raise ScriptEndedError(1)

    def finish(self, status: int = 0) -> Generator[Effect, bytes | None, None]:
        """End the script here, its end line included."""
        yield self._line({"end": self._count})
        raise ScriptEndedError(status)

    def fact(self, name: str, value: str) -> Part:
        """Print a fact: what a look sees here, or what a fault shows instead."""
        yield from self._reply({"fact": name, "value": self.host.seen(name, value)})

    def secret(self, name: str, value: str) -> Part:
        """Print a fact that nobody may see."""
        yield from self._reply({"secret": name, "value": value})

    def _reply(self, line: dict[str, Any]) -> Part:
        yield self._line(line)
        if self.host.latency:
            yield Pause(self.host.latency)

    def _line(self, line: dict[str, Any]) -> Say:
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        return Say(f"{self.script.marker}{text}\n".encode(errors="surrogateescape"))


def _capped(text: str) -> str:
    return text if len(text) <= CAP else f"{text[:CAP]}\n... (truncated, {len(text) - CAP} bytes more)\n"
