"""Simulated twin of probe: as on Linux; hosts that are not of this world, as the lab's, are asked over the network."""

from __future__ import annotations

import errno
import socket
from functools import partial
from typing import TYPE_CHECKING

from plugins.simulate.effects import Apart, Part
from plugins.simulate.verbs_probe import reached, read_target
from plugins.simulate.vocabulary import FreeVerb, Verb
from plugins.steps import Status

if TYPE_CHECKING:
    import re

    from plugins.simulate.play import Play

GREETING = "ovn-runbooks"
HEADERS = 28  # bytes of IPv4 and UDP
IP_MTU_DISCOVER, IP_PMTUDISC_PROBE = 10, 3  # Linux' numbers, which Python has no names for
_TRIES, _SECONDS = {"tcp": 1, "udp": 3}, {"tcp": 3.0, "udp": 1.0}
_FAILURES = {errno.ECONNREFUSED: "refused", errno.EMSGSIZE: "too-big"}


def _probe(play: Play, name: str, *targets: str) -> Part:
    yield from play.begin(f"probe {len(targets)} ports")
    for text in targets:
        target = read_target(text)
        if target is None:
            yield from play.fail("An invalid IP address was specified.")
            return
        if play.host.world.at(target["address"]) is not None:
            state = reached(play.host, name, target)
        else:
            state = ((yield Apart(partial(ask, name, target))) or b"").decode()
        label = ":".join(filter(None, (target["proto"], target["address"], target["port"], target["bytes"])))
        yield from play.fact(f"probe {label}", state)
    yield from play.report(Status.OK)


def ask(name: str, target: re.Match[str]) -> bytes:
    """Ask a real port as the library does; give the state that it tells."""
    proto, token, size = target["proto"], target["token"], target["bytes"]
    question = " ".join(filter(None, (GREETING, token, name, size))) + "\n"
    if size:
        question = question.ljust(int(size) - HEADERS, ".")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM) as asked:
        asked.settimeout(_SECONDS[proto])
        if size:
            asked.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
        try:
            asked.connect((target["address"], int(target["port"])))
        except OSError as error:
            return _failure(error)
        return b"open" if not token else _heard(asked, proto, question.encode(), f"{GREETING} {token}\n".encode())


def _heard(asked: socket.socket, proto: str, question: bytes, wanted: bytes) -> bytes:
    for _ in range(_TRIES[proto]):
        try:
            asked.send(question)
            return b"open" if asked.recv(4096) == wanted else b"wrong-answer"
        except TimeoutError:
            continue
        except OSError as error:
            return b"wrong-answer" if proto == "tcp" else _failure(error)
    return b"wrong-answer" if proto == "tcp" else b"timeout"


def _failure(error: OSError) -> bytes:
    if isinstance(error, TimeoutError):
        return b"timeout"
    return _FAILURES.get(error.errno or 0, "unreachable").encode()


VERBS: dict[str, Verb] = {"probe": FreeVerb(_probe, 2, None)}
