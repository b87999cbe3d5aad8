"""What the state folder holds beside keys and certificates: the cluster's tokens, the operator's kubeconfig."""

from __future__ import annotations

from pathlib import Path

from plugins.context import RunContext
from plugins.pki.disk import read_private, write_private
from plugins.secret import Secret

KUBECONFIG = "kubeconfig"


def token_file(context: RunContext, account: str) -> Path:
    """Say where a service account's token is kept."""
    return context.state_folder / "tokens" / account


def read_token(context: RunContext, account: str) -> Secret | None:
    """Give a service account's token, or None where there is none yet. Raises UsageError when it cannot be read."""
    data = read_private(token_file(context, account))
    return None if data is None else Secret(data.decode().strip())


def keep(file: Path, text: Secret, *, dry_run: bool) -> bool:
    """Keep a secret in a file of mode 0600; says whether it differs, or differed. Raises UsageError."""
    data = text.reveal().encode()
    if read_private(file) == data:
        return False
    if not dry_run:
        write_private(file, data)
    return True
