"""What to do about a host that is not set up yet."""

from __future__ import annotations

from plugins.steps import Status, StepsResult

FIRST = "run `python -m runbooks.bootstrap` first, with the same inventory: it installs what is missing"
# As the libraries of both languages word it (_needs in steps.sh).
_MISSING = " is not installed"


def with_remedy(result: StepsResult) -> StepsResult:
    """Say to bootstrap first where a look failed for want of its program; for tasks that only look."""
    if any(step.status is Status.FAILED and step.message.endswith(_MISSING) for step in result.steps):
        result.todo = FIRST
    return result
