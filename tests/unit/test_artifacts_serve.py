"""A mirror's folder served over HTTP: what was offered, to whoever knows the path, while the run lasts."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from plugins.artifacts.serve import AT_ONCE, Served, Serving

PLACE = "dl.k8s.io/v9/bin/windows/amd64/kubelet.exe"


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Give servers that end with the test."""
    found = Serving()
    yield found
    found.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file of a mirror's folder; beside it lies another one."""
    found = tmp_path / PLACE
    found.parent.mkdir(parents=True)
    found.write_bytes(bytes(range(256)) * 4096)
    (tmp_path / "private").write_text("not for hosts")
    return found


def get(address: str, **options: object) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(address, **options)  # noqa: S310  # the scheme is the test's
    with opener.open(request, timeout=10) as answer:
        return answer.read()


def refused(address: str, **options: object) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(address, **options)
    caught.value.close()
    return caught.value.code


def test_what_is_offered_is_served_where_the_host_reaches_this_machine(serving: Serving, file: Path) -> None:
    """At the address by which packets leave for the host, whole; the address itself is a secret."""
    served = serving.offer("127.0.0.9", {PLACE: file})
    assert served.origin.startswith("http://127.0.0.1:")
    address = served.address(PLACE)
    assert get(address.reveal()) == file.read_bytes()
    assert served.word.reveal() not in f"{served!r} {address}"


def test_nothing_else_is_served(serving: Serving, file: Path) -> None:
    """Neither other files of the folder, nor anything without the word, nor by another method."""
    served = serving.offer("127.0.0.9", {PLACE: file})
    origin, word = served.origin, served.word.reveal()
    other = ("y" if word.startswith("x") else "x") + word[1:]
    for path in ("", "/", f"/{PLACE}", f"/{word}", f"/{word}/", f"/{word}/private", f"/{other}/{PLACE}"):
        assert refused(f"{origin}{path}") == 404, path
    assert refused(f"{origin}/{word}/dl.k8s.io/../private") == 404
    assert refused(served.address(PLACE).reveal(), data=b"x", method="PUT") == 501
    file.unlink()
    assert refused(served.address(PLACE).reveal()) == 404


def test_one_server_for_all_hosts_behind_one_address(serving: Serving, file: Path) -> None:
    """A second host of the same network is told the same one; what each wants is offered to both."""
    first = serving.offer("127.0.0.9", {})
    second = serving.offer("127.0.0.10", {PLACE: file})
    assert (first.origin, first.word.reveal()) == (second.origin, second.word.reveal())
    assert get(first.address(PLACE).reveal()) == file.read_bytes()


def test_another_address_and_a_port_of_ones_own(serving: Serving, file: Path) -> None:
    """NAT and firewalls may demand both; a port that is taken is an error of the system's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            serving.offer("127.0.0.9", {PLACE: file}, port=port)
    served = serving.offer("127.0.0.9", {PLACE: file}, told="203.0.113.7", port=port)
    assert served.origin == f"http://203.0.113.7:{port}"
    here = Served(f"http://127.0.0.1:{port}", served.word)
    assert get(here.address(PLACE).reveal()) == file.read_bytes()


def test_more_hosts_than_threads_are_served_in_turn(serving: Serving, file: Path) -> None:
    """Who says nothing is let go in the end; until then there are never more threads than there may be."""
    served = serving.offer("127.0.0.9", {PLACE: file})
    got: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: got.append(get(served.address(PLACE).reveal()))) for _ in range(3 * AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        names = [thread.name for thread in threading.enumerate()]
        most = max(most, sum("process_request_thread" in name for name in names))
        time.sleep(0.005)
    assert got == [file.read_bytes()] * len(threads)
    assert most <= AT_ONCE + 1, "one may be on its way out"


def test_the_end_cuts_what_is_being_sent(serving: Serving, file: Path) -> None:
    """A run that is interrupted waits for no download, and its port is free again."""
    with file.open("ab") as stream:
        stream.truncate(1 << 30)
    address = urlsplit(serving.offer("127.0.0.9", {PLACE: file}).address(PLACE).reveal())
    with socket.create_connection((address.hostname or "", address.port or 0), 5) as client:
        client.sendall(f"GET {address.path} HTTP/1.0\r\n\r\n".encode())
        assert client.recv(20).startswith(b"HTTP/1.0 200")
        serving.close()
        serving.close()
        got = 0
        with suppress(ConnectionResetError):
            while piece := client.recv(1 << 20):
                got += len(piece)
        assert got < 1 << 30
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address.hostname or "", address.port or 0), 5)
