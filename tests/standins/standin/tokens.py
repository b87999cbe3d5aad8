"""Service account tokens: the controller manager signs them, the API server has the public half of its key."""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from standin.certificates import openssl
from standin.refusal import Refusal


def sign(key: str, namespace: str, account: str) -> str:
    """A token of a service account, in three parts as a JWT (the signature is openssl's own DER)."""
    head = _text({"alg": "stand-in", "typ": "JWT"})
    body = _text({"sub": f"system:serviceaccount:{namespace}:{account}", "iss": "kubernetes/serviceaccount"})
    signature = openssl("dgst", "-sha256", "-sign", key, data=f"{head}.{body}".encode())
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def subject(token: str, keys: Sequence[str]) -> str:
    """Whose token it is. Raises Refusal unless one of the public keys is its signer's."""
    signed, _, signature = token.rpartition(".")
    try:
        claims = json.loads(_bytes(signed.partition(".")[2]))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "signature"
            file.write_bytes(_bytes(signature))
            for key in keys:
                try:
                    openssl("dgst", "-sha256", "-verify", key, "-signature", str(file), data=signed.encode())
                except Refusal:
                    continue
                return str(claims["sub"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        pass
    raise Refusal("the token is nobody's")


def _text(content: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
