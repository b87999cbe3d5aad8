"""Secrets: a type that prints as ***, where secrets come from, and redaction as a second net.

A Secret is revealed in one place, where it is handed to what needs it. Whatever still finds its way into a
text is replaced by `redact`, which every log handler and report writer calls.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import stat
import subprocess
import threading
import traceback
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from plugins.errors import UsageError
from plugins.paths import LocatedPath
from plugins.redaction import MASK, Redactor

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
COMMAND_SECONDS = 30.0
LARGEST_FILE = 64 * 1024  # bytes

_redactor = Redactor()


def redact(text: str) -> str:
    """Replace every secret that this process has seen by ***."""
    return _redactor.redact(text)


class RedactingFilter(logging.Filter):
    """For logging handlers: message, traceback and stack leave without secrets. It never drops a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place; the exception itself gives way to its redacted text."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001  # arguments that do not fit: a log line must not end the run
            message = f"{record.msg} {record.args!r}"
        record.msg, record.args = redact(message), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        record.exc_info = None
        record.exc_text = redact(record.exc_text) if record.exc_text else None
        record.stack_info = redact(record.stack_info) if record.stack_info else None
        return True


class Secret:
    """A value that prints as *** and is registered for redaction. A pickled one arrives without its value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: str | None = value
        _redactor.register(value)

    def reveal(self) -> str:
        """Return the value; ValueError for a Secret that came out of a pickle."""
        if self._value is None:
            raise ValueError("this Secret came out of a pickle, which never holds the value")
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> None:
        """Hold nothing for those that look into objects, as the standard one would show the slot."""

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return _without_value, ()


def _without_value() -> Secret:
    secret = Secret("")
    secret._value = None  # noqa: SLF001
    return secret


class SecretSource(BaseModel):
    """Where a secret comes from: exactly one of an environment variable, a file, a command."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"minProperties": 1, "maxProperties": 1},
    )

    env: str | None = Field(
        default=None,
        pattern=VARIABLE,
        description="Name of the environment variable that holds the secret.",
    )
    file: LocatedPath | None = Field(
        default=None, description="File that holds the secret and nothing else; only its owner may read it."
    )
    command: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        default=None,
        min_length=1,
        description="Command, as a list of words; the first line of its standard output is the secret.",
    )

    @model_validator(mode="before")
    @classmethod
    def _is_no_value(cls, value: Any) -> Any:
        if not isinstance(value, dict | cls):
            raise PydanticCustomError(
                "plain_secret",
                "a secret itself never stands here; say where it comes from: {env: NAME}, {file: PATH} "
                "or {command: [PROGRAM, ARGUMENT]}",
            )
        return value

    @model_validator(mode="after")
    def _is_exactly_one(self) -> Self:
        given = sum(source is not None for source in (self.env, self.file, self.command))
        if given != 1:
            message = "{what} of the secret; write exactly one of env, file and command"
            raise PydanticCustomError(
                "one_source", message, {"what": "no source" if given == 0 else "more than one source"}
            )
        return self

    def read(self) -> Secret:
        """Fetch the secret; UsageError names the source and what to do, never the value.

        A command runs once in a process, however many hosts ask and whether or not it worked.
        """
        if self.env is not None:
            return _from_env(self.env)
        if self.file is not None:
            return _from_file(self.file)
        return _from_command(self.command or ())


def _secret(value: str, source: str) -> Secret:
    """Make the Secret of one line; `source` begins the error's text."""
    if not value:
        raise UsageError(f"{source} is empty; put the secret into it")
    if any(c in value for c in "\r\n\0"):
        raise UsageError(f"{source} holds more than one line; leave the secret alone in it")
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise UsageError(f"{source} is not UTF-8 text; write the secret in UTF-8")
    return Secret(value)


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _from_env(name: str) -> Secret:
    value = os.environ.get(name)
    if value is None:
        raise UsageError(f"environment variable {name} is not set; export it before the run")
    return _secret(_without_line_end(value), f"environment variable {name}")


def _from_file(path: Path) -> Secret:
    source = f"secret file {path}"
    try:
        with path.open("rb") as file:
            # The mode of what was opened: the name could mean another file a moment later.
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise UsageError(f"{source} does not exist; create it with mode 0600, or correct the path") from None
    except OSError as error:
        raise UsageError(f"{source} cannot be read ({error.strerror}); check the path and its owner") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{source} is open to others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {path}")
    if len(content) > LARGEST_FILE:
        raise UsageError(f"{source} is larger than {LARGEST_FILE // 1024} KiB; leave the secret alone in it")
    return _secret(_without_line_end(content.decode(errors="surrogateescape")), source)


_command_lock = threading.Lock()
_command_answers: dict[tuple[str, ...], Secret | str] = {}


def _from_command(command: tuple[str, ...]) -> Secret:
    # A password manager may ask its owner: hosts that ask at the same moment wait for one answer.
    with _command_lock:
        if command not in _command_answers:
            try:
                _command_answers[command] = _run(command)
            except UsageError as error:
                _command_answers[command] = str(error)
        answer = _command_answers[command]
    if isinstance(answer, str):
        raise UsageError(answer)
    return answer


def _run(command: tuple[str, ...]) -> Secret:
    # Arguments may be sensitive, and so may standard error: neither is shown.
    source = f"secret command {command[0]}" + (" ..." if len(command) > 1 else "")
    by_hand = "run it by hand to see why"
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a command"
        raise UsageError(f"{source} cannot be started ({reason}); correct the command in the inventory") from None
    with process:
        try:
            output, _ = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            raise UsageError(f"{source} gave no answer within {COMMAND_SECONDS:g} s; {by_hand}") from None
        finally:
            if process.returncode is None:
                _end(process)
    if process.returncode != 0:
        raise UsageError(f"{source} ended with exit status {process.returncode}; {by_hand}")
    return _secret(
        _without_line_end(output.decode(errors="surrogateescape").partition("\n")[0]), f"the answer of {source}"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that is not yet waited for, with its children: its session is a process group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
