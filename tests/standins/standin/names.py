"""In the place of CoreDNS's pods: names of services, answered over UDP out of what the API has."""

from __future__ import annotations

import struct
import subprocess
import threading
from ipaddress import IPv4Address
from socketserver import BaseRequestHandler, ThreadingUDPServer

from standin.client import ApiError, Client
from standin.kinds import of_word
from standin.refusal import Refusal

# RFC 1035, 4.1: what is asked for, how it is answered, and how it went.
ADDRESS, INTERNET, NAME_OF_QUESTION = 1, 1, 0xC00C
ANSWER, NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0x8580, 0, 2, 3


class Names(ThreadingUDPServer):
    """A server for the names of one domain; it asks the API as `client`."""

    daemon_threads = True

    def __init__(self, address: str, domain: str, client: Client, port: int = 53) -> None:
        self.domain, self.client = domain, client
        super().__init__((address, port), Question)


class Question(BaseRequestHandler):
    """One question. Only an address can be asked for."""

    server: Names

    def handle(self) -> None:
        """Answer it; what is no question gets no answer."""
        query, connection = self.request
        try:
            name, end = _name(query)
            kind, _ = struct.unpack_from("!HH", query, end)
        except (IndexError, struct.error, UnicodeError):
            return
        try:
            address = _service(self.server.client, name, self.server.domain)
            failure = NO_ERROR if address else NO_SUCH_NAME
        except ApiError:
            address, failure = "", SERVER_FAILURE
        answers = 1 if address and kind == ADDRESS else 0
        answer = query[:2] + struct.pack("!HHHHH", ANSWER | failure, 1, answers, 0, 0) + query[12 : end + 4]
        if answers:
            record = struct.pack("!HHHIH", NAME_OF_QUESTION, ADDRESS, INTERNET, 5, 4)
            answer += record + IPv4Address(address).packed
        connection.sendto(answer, self.client_address)


def _name(query: bytes) -> tuple[str, int]:
    """The name that is asked for, and where it ends."""
    labels, at = list[str](), 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def _service(client: Client, name: str, domain: str) -> str:
    """The address of the service that a name means; empty when there is none."""
    if not name.endswith(f".svc.{domain}"):
        return ""
    service, _, namespace = name.removesuffix(f".svc.{domain}").partition(".")
    try:
        found = client.ask("GET", of_word("service").path(namespace, service))
    except ApiError as error:
        if error.status == 404:
            return ""
        raise
    return str(found["spec"].get("clusterIP", ""))


def announced(client: Client, address: str) -> bool:
    """Whether the cluster has a service for names at the address."""
    services = client.ask("GET", of_word("services").path(""))["items"]
    wanted = (address, "UDP", 53)
    return any(
        (each["spec"].get("clusterIP"), port.get("protocol"), port.get("port")) == wanted
        for each in services
        for port in each["spec"].get("ports") or ()
    )


def serve_names(address: str, domain: str, client: Client) -> None:
    """Serve at a service's address, in threads of its own. Packets go to no pod: each node answers itself."""
    done = subprocess.run(
        ["ip", "address", "replace", f"{address}/32", "dev", "lo"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Refusal(f"{address}: {done.stderr.strip()}")
    try:
        server = Names(address, domain, client)
    except OSError as error:
        raise Refusal(f"cannot listen on {address}:53: {error.strerror}") from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
