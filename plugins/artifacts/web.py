"""Upstream servers as the operator's machine sees them: files, checksum files, and digests of images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests

from plugins.errors import UsageError

_TIMEOUT = (20, 60)  # seconds to connect, and between two pieces
_PIECE = 1024 * 1024
_TRIES = 4
_SUM = re.compile(r"[0-9a-fA-F]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
Progress = Callable[[int], None]


class DownloadError(UsageError):
    """A server did not give what was asked for, or something else; the text names the address."""


@contextmanager
def _answer(url: str, **options: Any) -> Iterator[requests.Response]:
    try:
        with requests.get(url, timeout=_TIMEOUT, stream=True, **options) as response:
            yield response
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {_words(error)}") from None


def _words(error: requests.RequestException) -> str:
    match error:
        case requests.exceptions.SSLError():
            return "the server's certificate is not trusted, or there is no TLS"
        case requests.exceptions.Timeout():
            return "no answer in time"
        case requests.exceptions.ConnectionError():
            return "no connection: is the name right, and a proxy needed (https_proxy)?"
        case _:
            return str(error) or type(error).__name__


def published_sha256(checksum_url: str, name: str) -> str:
    """Read the SHA-256 of the file `name` from a checksum file: the sum alone, or lines of SUM NAME."""
    with _answer(checksum_url) as response:
        if response.status_code != requests.codes.ok:
            raise DownloadError(f"{checksum_url}: the server answers {response.status_code} {response.reason}")
        lines = [line.split() for line in response.text.splitlines() if line.strip()]
    for words in lines:
        named = words[1].lstrip("*").rpartition("/")[2] if len(words) > 1 else name
        if _SUM.fullmatch(words[0]) and (named == name or len(lines) == 1):
            return words[0].lower()
    raise DownloadError(f"{checksum_url}: no SHA-256 of {name} in it")


def hash_of(path: Path) -> str:
    """Give the SHA-256 of a file."""
    digest = sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def hash_at(url: str) -> str | None:
    """Give the SHA-256 of what a mirror has at an address; None where it has nothing there."""
    digest = sha256()
    with _answer(url) as response:
        if response.status_code == requests.codes.not_found:
            return None
        if response.status_code != requests.codes.ok:
            raise DownloadError(f"{url}: the server answers {response.status_code} {response.reason}")
        for piece in response.iter_content(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def download(url: str, file: Path, digest: str, progress: Progress = lambda _: None) -> None:
    """Download to `file`, which is there whole and right, or not at all; an earlier try is gone on with.

    Raises DownloadError. `progress` is told the bytes that are there.
    """
    part = file.with_name(f".{file.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    problem: DownloadError | None = None
    for _ in range(_TRIES):
        resumed = part.exists() and part.stat().st_size > 0
        try:
            if not (resumed and hash_of(part) == digest):
                _append(url, part, progress)
        except DownloadError as error:
            problem = error
            continue
        if (seen := hash_of(part)) == digest:
            part.replace(file)
            return
        part.unlink()
        problem = DownloadError(f"{url}: its SHA-256 is {seen}, and {digest} is what is pinned")
        if not resumed:
            break
    raise problem or DownloadError(f"{url}: cannot be had")


def _append(url: str, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    with _answer(url, headers={"Range": f"bytes={have}-", "Accept-Encoding": "identity"}) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink(missing_ok=True)
            raise DownloadError(f"{url}: what was there of it is none of it")
        if response.status_code not in {requests.codes.ok, requests.codes.partial_content}:
            raise DownloadError(f"{url}: the server answers {response.status_code} {response.reason}")
        if response.status_code == requests.codes.ok:
            have = 0
        wanted = have + int(response.headers.get("Content-Length", 0))
        with part.open("r+b" if have else "wb") as stream:
            stream.seek(have)
            for piece in response.iter_content(_PIECE):
                stream.write(piece)
                have += len(piece)
                progress(have)
    if have < wanted:
        raise DownloadError(f"{url}: it ended after {have} of {wanted} bytes")


def image_digest(reference: str) -> str:
    """Ask an image's registry for the digest that its tag stands for now, without logging in."""
    name, _, tag = reference.rpartition(":")
    registry, _, repository = name.partition("/")
    url = f"https://{registry}/v2/{repository}/manifests/{tag}"
    headers = {"Accept": _MANIFESTS}
    with _answer(url, headers=headers) as response:
        challenge = response.headers.get("WWW-Authenticate", "")
        refused = response.status_code == requests.codes.unauthorized
        if not refused:
            return _digest_in(response, url)
    words = dict(_CHALLENGE.findall(challenge))
    asked = {key: words[key] for key in ("service", "scope") if key in words}
    with _answer(words.get("realm", url), params=asked) as response:
        token = response.json().get("token", "") if response.status_code == requests.codes.ok else ""
    with _answer(url, headers=headers | {"Authorization": f"Bearer {token}"}) as response:
        return _digest_in(response, url)


def _digest_in(response: requests.Response, url: str) -> str:
    if response.status_code != requests.codes.ok:
        raise DownloadError(f"{url}: the registry answers {response.status_code} {response.reason}")
    # What the bytes say, and not what the header says.
    return f"sha256:{sha256(response.content).hexdigest()}"
