"""What PowerShell writes to standard error as CLIXML, made into plain text."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

HEADER = b"#< CLIXML"
_DOCUMENT = re.compile(rb"<Objs\b.*?</Objs>", re.DOTALL)
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NAMESPACE = "{http://schemas.microsoft.com/powershell/2004/04}"
_SHOWN = {"Error", "Warning"}


def plain(data: bytes) -> bytes:
    """Give the errors and warnings in `data` as text, progress and the rest left out; other text stays as it is."""
    if HEADER not in data:
        return data
    # An object may stand before, between and behind lines that programs wrote by themselves.
    return _DOCUMENT.sub(_texts, data.replace(HEADER + b"\r\n", b"").replace(HEADER, b"")).strip()


def _texts(match: re.Match[bytes]) -> bytes:
    if b"<!" in match[0]:
        return match[0]
    try:
        root = ET.fromstring(match[0])  # noqa: S314  # no declarations: see above
    except ET.ParseError:
        return match[0]
    found = (node.text or "" for node in root.findall(f"{_NAMESPACE}S") if node.get("S") in _SHOWN)
    # A character beyond the first plane is a pair of escapes.
    text = "".join(_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), part) for part in found)
    return text.replace("\r\n", "\n").encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
