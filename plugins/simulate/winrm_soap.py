"""WS-Management messages: strict on what comes in, and in the form in which a Windows host answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID, uuid4
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
ANONYMOUS = f"{ADDRESSING}/role/anonymous"
CMD = f"{SHELL}/cmd"
ACTIONS = {
    **{f"{TRANSFER}/{name}": name for name in ("Create", "Delete")},
    **{f"{SHELL}/{name}": name for name in ("Command", "Send", "Receive", "Signal")},
}
LEAST_ENVELOPE = 8192  # bytes
_DURATION = re.compile(r"PT(\d+(?:\.\d+)?)S")
_NAMESPACES = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {"s": SOAP, "a": ADDRESSING, "w": WSMAN, "rsp": SHELL, "f": FAULT, "x": TRANSFER}.items()
)


class FaultError(Exception):
    """A fault: SOAP code and subcode, the number that Windows has for it, and its words."""

    def __init__(self, subcode: str, number: int, reason: str, *, code: str = "s:Sender", message: str = "") -> None:
        super().__init__(reason)
        self.code, self.subcode, self.number, self.reason = code, subcode, number, reason
        self.message_id = message


@dataclass(frozen=True)
class Request:
    """One request: the last part of its action, and what its headers and body say."""

    action: str
    message_id: str
    shell_id: str
    timeout: float
    largest: int
    options: dict[str, str]
    body: ET.Element

    def find(self, name: str) -> ET.Element:
        """Give an element of the shell's namespace in the body; FaultError where there is none."""
        found = self.body.find(f".//{{{SHELL}}}{name}")
        if found is None:
            raise schema(f"the body has no {name}")
        return found


def schema(what: str) -> FaultError:
    """Make the fault for a message that is not of the form that the schema asks for."""
    reason = f"The SOAP XML in the message does not match the corresponding XML schema definition ({what})."
    return FaultError("w:SchemaValidationError", 2150858817, reason)


def invalid_header(what: str) -> FaultError:
    """Make the fault for a header that is missing or wrong."""
    reason = f"The WS-Management service cannot process the request. A SOAP header is missing or invalid: {what}."
    return FaultError("a:InvalidMessageInformationHeader", 2150858767, reason)


def read(data: bytes) -> Request:
    """Take a message apart; FaultError says what in it a Windows host would not take."""
    root = _tree(data)
    header, body = root.find(f"{{{SOAP}}}Header"), root.find(f"{{{SOAP}}}Body")
    if header is None or body is None:
        raise schema("an envelope has a Header and a Body")
    text = {name: _text(header, f"{{{ADDRESSING}}}{name}") for name in ("To", "Action", "MessageID")}
    try:
        UUID(text["MessageID"].removeprefix("uuid:"))
    except ValueError:
        raise invalid_header("MessageID is no uuid:") from None
    if _text(header, f"{{{ADDRESSING}}}ReplyTo/{{{ADDRESSING}}}Address") != ANONYMOUS:
        raise invalid_header("ReplyTo is not the anonymous address")
    resource = _text(header, f"{{{WSMAN}}}ResourceURI")
    if resource != CMD:
        reason = f"The WS-Management service cannot process the request. The resource URI ({resource}) is not known."
        raise FaultError("a:DestinationUnreachable", 2150858811, reason)
    if text["Action"] not in ACTIONS:
        reason = f"The action {text['Action']} is not supported by the service."
        raise FaultError("a:ActionNotSupported", 2150858771, reason)
    selectors = {each.get("Name", ""): each.text or "" for each in header.iterfind(f".//{{{WSMAN}}}Selector")}
    return Request(
        action=ACTIONS[text["Action"]],
        message_id=text["MessageID"],
        shell_id=selectors.get("ShellId", ""),
        timeout=_seconds(_text(header, f"{{{WSMAN}}}OperationTimeout")),
        largest=_largest(_text(header, f"{{{WSMAN}}}MaxEnvelopeSize")),
        options={each.get("Name", ""): each.text or "" for each in header.iterfind(f".//{{{WSMAN}}}Option")},
        body=body,
    )


def _tree(data: bytes) -> ET.Element:
    if b"<!DOCTYPE" in data:
        raise schema("a document type declaration")
    try:
        root = ET.fromstring(data)  # noqa: S314  # no declarations: see above
    except ET.ParseError as error:
        raise schema(f"not well-formed: {error}") from None
    if root.tag != f"{{{SOAP}}}Envelope":
        raise FaultError("", 2150858765, "The SOAP version of the message is not supported.", code="s:VersionMismatch")
    return root


def _text(header: ET.Element, path: str) -> str:
    found = header.find(path)
    if found is None or not (found.text or "").strip():
        raise invalid_header(path.rpartition("}")[2])
    return (found.text or "").strip()


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise invalid_header(f"OperationTimeout {text}")
    return float(match[1])


def _largest(text: str) -> int:
    if not text.isdigit() or int(text) < LEAST_ENVELOPE:
        raise invalid_header(f"MaxEnvelopeSize {text}")
    return int(text)


def answer(request: Request, body: str) -> bytes:
    """Make the answer to a request, with this body."""
    uri = TRANSFER if request.action in {"Create", "Delete"} else SHELL
    return _envelope(f"{uri}/{request.action}Response", request.message_id, body)


def fault(error: FaultError) -> bytes:
    """Make the message of a fault."""
    subcode = f"<s:Subcode><s:Value>{error.subcode}</s:Value></s:Subcode>" if error.subcode else ""
    body = (
        f"<s:Fault><s:Code><s:Value>{error.code}</s:Value>{subcode}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{escape(error.reason)}</s:Text></s:Reason>'
        f'<s:Detail><f:WSManFault Code="{error.number}" Machine="simulated"><f:Message>{escape(error.reason)}'
        "</f:Message></f:WSManFault></s:Detail></s:Fault>"
    )
    return _envelope("http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", error.message_id, body)


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    relates = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
    return (
        f'<s:Envelope xml:lang="en-US" {_NAMESPACES}><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid4()).upper()}</a:MessageID><a:To>{ANONYMOUS}</a:To>{relates}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def attribute(value: str) -> str:
    """Quote the value of an attribute."""
    return quoteattr(value)
