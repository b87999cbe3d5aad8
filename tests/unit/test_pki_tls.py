"""Real TLS on loopback: both sides prove themselves with leaves of the table, and strangers are refused."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from plugins.pki.profiles import Names, Usage
from plugins.pki.store import Store
from plugins.pki.table import LEAVES

NOW = datetime.now(UTC)
SECONDS = 10


class Party:
    """One host's files, and contexts in which it is a server or a client."""

    def __init__(self, folder: Path, store: Store, host: str, now: datetime = NOW) -> None:
        leaf = store.ensure_leaf("ovn", Names("demo", host, "cluster.local", (ip_address("127.0.0.1"),)), now)
        folder.mkdir(parents=True)
        self.pair, self.ca = folder / "pair.pem", folder / "ca.pem"
        self.pair.write_text(leaf.certificate_pem + leaf.key_pem.reveal())
        self.ca.write_text(leaf.ca_pem)

    def context(self, protocol: int, version: ssl.TLSVersion, *, show: bool = True) -> ssl.SSLContext:
        """Trust our authority alone, demand a certificate of the other side, and show our own unless told not to."""
        context = ssl.SSLContext(protocol)
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # what Python 3.13 does by default
        context.minimum_version = context.maximum_version = version
        context.load_verify_locations(self.ca)
        if show:
            context.load_cert_chain(self.pair)
        return context


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def version(request) -> ssl.TLSVersion:
    return request.param


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "ours", "demo")
    made.ensure_authority("ovn", NOW, master=None)
    return made


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[tuple[int, Future[str]]]:
    """Accept one connection, answer one line; yields the port and the name that the client proved."""

    def serve() -> str:
        raw, _ = listener.accept()
        raw.settimeout(SECONDS)
        with raw, context.wrap_socket(raw, server_side=True) as line:
            subject = dict(part[0] for part in line.getpeercert()["subject"])
            line.sendall(b"hello " + line.recv(100))
            return subject["commonName"]

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(SECONDS)
        yield listener.getsockname()[1], pool.submit(serve)


def call(context: ssl.SSLContext, port: int, name: str) -> bytes:
    """Connect, send, and read: in TLS 1.3 a client learns only by reading that it was refused."""
    with (
        socket.create_connection(("127.0.0.1", port), SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=name) as line,
    ):
        line.sendall(b"you")
        return line.recv(100)


@pytest.mark.parametrize("name", ["master", "master.cluster.local", "127.0.0.1"])
def test_both_sides_prove_themselves(tmp_path, store, version, name):
    """A host reaches the master by any of its names, and the master learns which host it is."""
    master, worker = Party(tmp_path / "m", store, "master"), Party(tmp_path / "w", store, "linux-1")
    with serving(master.context(ssl.PROTOCOL_TLS_SERVER, version)) as (port, proved):
        assert call(worker.context(ssl.PROTOCOL_TLS_CLIENT, version), port, name) == b"hello you"
        assert proved.result(SECONDS) == "linux-1"


def test_the_other_way_round(tmp_path, store, version):
    """The master's leaf is a client certificate too, and a worker's serves."""
    master, worker = Party(tmp_path / "m", store, "master"), Party(tmp_path / "w", store, "linux-1")
    with serving(worker.context(ssl.PROTOCOL_TLS_SERVER, version)) as (port, proved):
        assert call(master.context(ssl.PROTOCOL_TLS_CLIENT, version), port, "linux-1") == b"hello you"
        assert proved.result(SECONDS) == "master"


def test_a_client_without_a_certificate_is_refused(tmp_path, store, version):
    """The server says why, and the client reads nothing."""
    master, worker = Party(tmp_path / "m", store, "master"), Party(tmp_path / "w", store, "linux-1")
    with serving(master.context(ssl.PROTOCOL_TLS_SERVER, version)) as (port, proved):
        with pytest.raises(OSError):  # noqa: PT011  # an alert, or the connection reset before it was read
            call(worker.context(ssl.PROTOCOL_TLS_CLIENT, version, show=False), port, "master")
        with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            proved.result(SECONDS)


def test_a_client_of_another_authority_of_the_same_name_is_refused(tmp_path, store, version):
    """It trusts our authority, but its own leaf comes from a twin."""
    twin = Store(tmp_path / "twin", "demo")
    twin.ensure_authority("ovn", NOW, master=None)
    master, stranger = Party(tmp_path / "m", store, "master"), Party(tmp_path / "s", twin, "linux-1")
    stranger.ca = master.ca
    with serving(master.context(ssl.PROTOCOL_TLS_SERVER, version)) as (port, proved):
        with pytest.raises(OSError):  # noqa: PT011  # as above
            call(stranger.context(ssl.PROTOCOL_TLS_CLIENT, version), port, "master")
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            proved.result(SECONDS)


def test_a_server_of_another_authority_or_name_is_refused(tmp_path, store, version):
    """The client looks at issuer and name."""
    twin = Store(tmp_path / "twin", "demo")
    twin.ensure_authority("ovn", NOW, master=None)
    worker = Party(tmp_path / "w", store, "linux-1")
    for number, (server, name) in enumerate(((twin, "master"), (store, "linux-7"))):
        master = Party(tmp_path / f"m{number}", server, "master")
        with serving(master.context(ssl.PROTOCOL_TLS_SERVER, version)) as (port, proved):
            with pytest.raises(ssl.SSLCertVerificationError):
                call(worker.context(ssl.PROTOCOL_TLS_CLIENT, version), port, name)
            assert isinstance(proved.exception(SECONDS), OSError)


def test_an_expired_client_is_refused(tmp_path, version):
    """A leaf of two years ago opens nothing. Its authority is as old, so that it could be issued then."""
    past = NOW - timedelta(days=730)
    old = Store(tmp_path / "old", "demo")
    old.ensure_authority("ovn", past, master=None)
    worker = Party(tmp_path / "w", old, "linux-1", past)
    master = Party(tmp_path / "m", old, "master")
    with serving(master.context(ssl.PROTOCOL_TLS_SERVER, version)) as (port, proved):
        with pytest.raises(OSError):  # noqa: PT011  # as above
            call(worker.context(ssl.PROTOCOL_TLS_CLIENT, version), port, "master")
        with pytest.raises(ssl.SSLError, match="certificate has expired"):
            proved.result(SECONDS)


def test_a_leaf_for_clients_only_cannot_serve(tmp_path, version):
    """Usage binds: a row with clientAuth alone is refused as a server."""
    row = replace(LEAVES[0], usages=frozenset({Usage.CLIENT}))
    store = Store(tmp_path / "ours", "demo", leaves=[row])
    store.ensure_authority("ovn", NOW, master=None)
    master, worker = Party(tmp_path / "m", store, "master"), Party(tmp_path / "w", store, "linux-1")
    with serving(master.context(ssl.PROTOCOL_TLS_SERVER, version)) as (port, proved):
        with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
            call(worker.context(ssl.PROTOCOL_TLS_CLIENT, version), port, "master")
        assert isinstance(proved.exception(SECONDS), OSError)
