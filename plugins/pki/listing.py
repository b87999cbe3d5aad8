"""Lists the certificates of a state folder with their days left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from plugins.errors import UsageError
from plugins.pki.disk import read_file
from plugins.pki.records import Row


def rows(files: Iterator[tuple[str, Path]], now: datetime) -> list[Row]:
    """Read one row from each (name, PEM file). A file that is not there has no row; a broken one has a problem."""
    found = (_row(name, file, now) for name, file in files)
    return [row for row in found if row is not None]


def _row(name: str, file: Path, now: datetime) -> Row | None:
    try:
        data = read_file(file)
        if data is None:
            return None
        certificate = x509.load_pem_x509_certificate(data)
        end = certificate.not_valid_after_utc
        subject = certificate.subject.rfc4514_string()
    except UsageError as exc:
        return Row(name, "", None, None, str(exc))
    except ValueError:
        return Row(name, "", None, None, f"{file}: no certificate can be read")
    return Row(name, subject, end, (end - now.astimezone(UTC)) // timedelta(days=1))
