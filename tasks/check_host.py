"""Preflight of one host: is it fit for what the runbook will do to it. Changes nothing."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence

from nornir.core.task import Task

from plugins.checks.clock import clock_facts
from plugins.checks.expected import TOOLS, Expected, tunnel_mtu
from plugins.checks.facts import HostFacts
from plugins.checks.host import HOST_RULES
from plugins.checks.model import Check, Grade, Rule, judge_all, judged
from plugins.checks.node import RIVALS
from plugins.checks.windows import WINDOWS_RULES
from plugins.connections import shell_of
from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.steps import Status, Step, StepsResult
from plugins.windows import CONTAINERD, CONTAINERS, FOREIGN_RUNTIMES, served
from tasks.run_script import run_script

LISTEN_SECONDS = 300  # until every other host has got through its own preflight, and probed


def check_host(task: Task) -> StepsResult:
    """Gather facts, judge them by every check, and listen on the ports that other hosts will probe.

    All checks are made, so one run shows all that is wrong. The facts go on with the result, with these of
    our own: `tunnel_mtu` (bytes), the two that bound when `clock` was read, and `listen_token` where one listens.
    """
    expected = _expected(task)
    windows = expected.settings.role is Role.WINDOWS
    rules = WINDOWS_RULES if windows else HOST_RULES
    shell_of(task)  # the time to connect must not count as the clock's error
    asked = time.time()
    result, told = (_look_at_windows if windows else _look_at_linux)(task, expected)
    answered = time.time()
    if result.failed:
        return _unfit(task, result, rules)
    facts = {**result.facts, **told, **clock_facts(asked, answered, result.steps)}
    facts |= _tunnel(facts, expected)
    checks = (check.step() for check in judge_all(rules, HostFacts(facts), expected))
    return judged(task.host, (*result.steps, *checks), facts)


def _look_at_linux(task: Task, expected: Expected) -> tuple[StepsResult, dict[str, str]]:
    token = secrets.token_hex(8)
    result = run_script(
        task,
        "linux/check_host.sh.j2",
        tools=tuple(TOOLS),
        modules=expected.modules,
        packages=expected.packages,
        ports=expected.ports,
        kubernetes=expected.cluster.kubernetes,
        rivals=tuple(RIVALS),
        token=token,
        seconds=LISTEN_SECONDS,
    )
    return result, {"listen_token": token}


def _look_at_windows(task: Task, expected: Expected) -> tuple[StepsResult, dict[str, str]]:
    services = dict.fromkeys((*served(expected.cluster).values(), CONTAINERD, *FOREIGN_RUNTIMES))
    result = run_script(task, "windows/check_host.ps1.j2", features=(CONTAINERS,), services=tuple(services))
    return result, {"system_id": ""}


def _expected(task: Task) -> Expected:
    context = context_of(task)
    everyone = [host_settings(host) for host in task.nornir.inventory.hosts.values()]
    hybrid = any(settings.role is Role.WINDOWS for settings in everyone)
    master = next(settings.address for settings in everyone if settings.role is Role.MASTER)
    return Expected(host_settings(task.host), context.cluster, context.release, master, hybrid)


def _tunnel(facts: Mapping[str, str], expected: Expected) -> dict[str, str]:
    try:
        mtu = tunnel_mtu(HostFacts(facts), expected.settings)
    except ValueError:  # which fails the checks that need it
        return {}
    return {} if mtu is None else {"tunnel_mtu": str(mtu)}


def _unfit(task: Task, result: StepsResult, rules: Sequence[Rule[Expected]]) -> StepsResult:
    """Put the library's refusal to run as somebody else than root or an administrator in the words of a check."""
    last = result.steps[-1]
    if last.name != "privileges" or last.status is not Status.FAILED:
        return result
    rule = next(rule for rule in rules if rule.id == "privileges")
    step: Step = Check(Grade.FAILED, last.message, rule.wanted, rule.todo, rule.id).step()
    return judged(task.host, (*result.steps[:-1], step), result.facts)
