"""What a simulated verb is: a look and an act on a host's state, or a part of the script of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plugins.simulate.effects import Part
    from plugins.simulate.host import SimulatedHost


@dataclass(frozen=True)
class Seen:
    """A look's answer, in the library's own codes: 0 as wanted, 1 not, 2 cannot be looked at, 3 cannot be mended."""

    code: int
    diff: str = ""
    message: str = ""


AS_WANTED = Seen(0)


def needs(host: SimulatedHost, tool: str) -> Seen | None:
    """Answer code 2 where the host does not have `tool` yet, as the library's `_needs`."""
    return None if tool in host.state.tools() else Seen(2, message=f"{tool} is not installed")


class ActFailedError(Exception):
    """An act that did not work; the text is what its commands printed."""


class ScriptEndedError(Exception):
    """The script is over here, with `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class StepVerb:
    """A verb made of look and act; `title` names its step, `touches` what a later restart_on may name.

    An act that has to wait for something is a part of the script.
    """

    title: Callable[..., str]
    look: Callable[..., Seen]
    act: Callable[..., Part | None]
    least: int
    most: int | None
    touches: Callable[..., str] = lambda *_: ""


@dataclass(frozen=True)
class FreeVerb:
    """A verb with steps, facts or waits of its own."""

    play: Callable[..., Part]
    least: int
    most: int | None


Verb = StepVerb | FreeVerb
