"""Secrets: they never show, they come from where they are said to, and what slips through is redacted."""

import base64
import copy
import json
import logging
import os
import pickle
import shlex
import stat
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from waiting import ended, eventually

from plugins.errors import UsageError
from plugins.redaction import MASK, SHORTEST, Redactor
from plugins.secret import RedactingFilter, Secret, SecretSource, redact

VALUE = 'qx\'z "hün qxz\\2" $x'
# No asterisk: a secret with one could be put together from a mask and what stands beside it.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=SHORTEST, max_size=30)


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        "{}".format,
        lambda secret: f"{secret!r:>20}{secret:<30}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
        lambda secret: json.dumps({"a": secret}, default=str),
        lambda secret: repr([secret, {"a": secret}]),
        lambda secret: repr(pickle.dumps(secret)),
        lambda secret: repr(secret.__reduce_ex__(4)),
        lambda secret: repr(secret.__getstate__()),
        lambda secret: "".join(traceback.format_exception(ValueError(secret))),
    ],
)
def test_a_secret_shows_nowhere(show):
    """Whatever turns a Secret into text, the value is not in it."""
    shown = show(Secret("hunter2-value"))
    assert "hunter2" not in shown


def test_a_secret_is_revealed_by_one_call():
    """reveal() gives the value, and a copy is the same Secret."""
    secret = Secret(VALUE)
    assert secret.reveal() == VALUE
    assert copy.deepcopy([secret])[0] is copy.copy(secret) is secret


def test_a_secret_is_no_string_and_not_json():
    """A Secret cannot be joined, encoded or dumped by accident."""
    secret = Secret(VALUE)
    assert not isinstance(secret, str)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        "".join([secret])  # noqa: FLY002


def test_a_pickled_secret_arrives_without_its_value():
    """The other side of a pickle has a Secret that says why it has no value."""
    arrived = pickle.loads(pickle.dumps(Secret(VALUE)))  # noqa: S301
    assert str(arrived) == MASK
    with pytest.raises(ValueError, match="pickle"):
        arrived.reveal()


@pytest.mark.parametrize(
    "form",
    [
        lambda v: v,
        shlex.quote,
        lambda v: shlex.quote(f"--password={v}"),
        lambda v: v.replace("'", "''"),
        lambda v: subprocess.run(  # what `bash -x` shows
            ["bash", "-xc", ': "$1"', "bash", v], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
        ).stderr.decode(),
        json.dumps,
        lambda v: json.dumps(v, ensure_ascii=False),
        lambda v: quote(v, safe=""),
    ],
)
def test_every_form_of_a_secret_is_redacted(form):
    """A value is found as it stands in shell, PowerShell, JSON and URL text."""
    redactor = Redactor()
    redactor.register(VALUE)
    redacted = redactor.redact(f"before {form(VALUE)} after")
    assert MASK in redacted
    assert redacted.startswith("before ")
    assert redacted.endswith(" after")
    assert "qx" not in redacted


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("coding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize(("before", "after"), [("", ""), ("user:", ""), ("ab", "\n"), ("$p = '", "'; Get-Item")])
def test_a_secret_is_redacted_inside_base64(encode, coding, before, after):
    """At any offset in base64 the value goes, but for the two characters that it shares with its neighbours."""
    redactor = Redactor()
    redactor.register(VALUE)
    redacted = redactor.redact(encode(f"{before}{VALUE}{after}".encode(coding)).decode())
    start, _, end = redacted.partition(MASK)
    assert len(start) <= len(encode(before.encode(coding)).rstrip(b"=")) + 1
    assert len(end.rstrip("=")) <= len(encode(after.encode(coding)).rstrip(b"=")) + 2


@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(st.text(max_size=10), min_size=2, max_size=6), st.data())
def test_no_registered_value_is_left_in_a_text(values, pieces, data):
    """After redaction no registered value is a part of the text, wherever and how closely they stood."""
    redactor = Redactor()
    for value in values:
        redactor.register(value)
    text = "".join(piece + data.draw(st.sampled_from(values)) for piece in pieces)
    redacted = redactor.redact(text)
    assert not [value for value in values if value in redacted]


@given(st.text(max_size=50), TEXT)
def test_a_text_without_secrets_stays_as_it_is(text, value):
    """Redaction changes nothing else: what stands outside the value is kept to the letter."""
    redactor = Redactor()
    redactor.register(value)
    if redactor.redact(text) == text:
        assert redactor.redact(f"{text}|{value}|") in {f"{text}|{MASK}|", redactor.redact(f"{text}|") + f"{MASK}|"}
    assert Redactor().redact(text) == text


def test_overlapping_secrets_leave_no_rest():
    """Two values that share characters become one mask."""
    redactor = Redactor()
    redactor.register("abcd1234")
    redactor.register("1234wxyz")
    assert redactor.redact("<abcd1234wxyz>") == "<***>"
    assert redactor.redact("abcd1234abcd1234") == "******"


def test_short_values_are_not_redacted():
    """A value under four characters would black out ordinary text, and is left."""
    Secret("xq7")
    assert redact("a xq7 b") == "a xq7 b"


def test_lines_of_a_long_value_are_redacted_one_by_one():
    """A key of many lines is found in a log that shows them one at a time."""
    Secret("first-line-of-a-key\nsecond-line-of-a-key\n")
    assert redact("log: second-line-of-a-key") == "log: ***"


def test_the_log_filter_redacts_message_arguments_traceback_and_stack():
    """Nothing that a handler with the filter writes holds a secret."""
    written: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record):
            written.append(self.format(record))

    handler = Handler()
    handler.addFilter(RedactingFilter())
    logger = logging.getLogger("test_secret")
    logger.propagate = False
    logger.addHandler(handler)
    Secret("s3cret-in-a-log")
    try:
        raise RuntimeError("s3cret-in-a-log")  # noqa: TRY301
    except RuntimeError:
        logger.exception("%s and %d", "s3cret-in-a-log", 3, stack_info=True)
    logger.warning("%d s3cret-in-a-log", "no number")
    logger.removeHandler(handler)
    assert "*** and 3" in written[0]
    assert "RuntimeError: ***" in written[0]
    assert "Stack (most recent call last)" in written[0]
    assert "%d ***" in written[1]
    assert "s3cret" not in "".join(written)


def test_a_secret_from_the_environment(monkeypatch):
    """The variable is named by env; one line end is dropped, other blanks belong to the value."""
    monkeypatch.setenv("OVN_TEST_SECRET", " value \n")
    assert SecretSource(env="OVN_TEST_SECRET").read().reveal() == " value "


def test_a_missing_variable_is_named(monkeypatch):
    """An unset variable, an empty one and one with two lines say which variable, and what to do."""
    monkeypatch.delenv("OVN_TEST_SECRET", raising=False)
    with pytest.raises(UsageError, match="OVN_TEST_SECRET is not set; export it"):
        SecretSource(env="OVN_TEST_SECRET").read()
    monkeypatch.setenv("OVN_TEST_SECRET", "")
    with pytest.raises(UsageError, match="OVN_TEST_SECRET is empty"):
        SecretSource(env="OVN_TEST_SECRET").read()
    monkeypatch.setenv("OVN_TEST_SECRET", "hunter2\nx")
    with pytest.raises(UsageError, match="OVN_TEST_SECRET holds more than one line") as caught:
        SecretSource(env="OVN_TEST_SECRET").read()
    assert "hunter2" not in str(caught.value)


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / "secret"
    file.write_bytes(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("content", [b"hunter2", b"hunter2\n", b"hunter2\r\n"])
def test_a_secret_from_a_file(tmp_path, content):
    """The file's line end is not part of the secret."""
    assert SecretSource(file=secret_file(tmp_path, content)).read().reveal() == "hunter2"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_may_open_is_refused(tmp_path, mode):
    """A secret file open to group or others is refused, with the command that mends it."""
    file = secret_file(tmp_path, b"hunter2", mode)
    with pytest.raises(UsageError, match=rf"mode 0{mode:o}.*chmod 600 {file}"):
        SecretSource(file=file).read()
    file.chmod(stat.S_IRUSR)
    assert SecretSource(file=file).read().reveal() == "hunter2"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hunter2\nhunter3\n", "more than one line"),
        (b"hunter2\xff", "is not UTF-8"),
        (b"hunter2" * 10_000, "larger than 64 KiB"),
    ],
)
def test_a_file_without_one_secret_is_refused(tmp_path, content, said):
    """What is wrong with the file is said, its content is not."""
    with pytest.raises(UsageError, match=said) as caught:
        SecretSource(file=secret_file(tmp_path, content)).read()
    assert "hunter" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    """A path with no readable file behind it is named with what to do."""
    with pytest.raises(UsageError, match=r"no-such does not exist; create it with mode 0600"):
        SecretSource(file=tmp_path / "no-such").read()
    with pytest.raises(UsageError, match=r"cannot be read \(Is a directory\)"):
        SecretSource(file=tmp_path).read()


def test_a_secret_from_a_command():
    """The first line of the command's output is the secret; the others are not."""
    assert SecretSource(command=("printf", "hunter2\nlogin: me\n")).read().reveal() == "hunter2"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("false",), r"secret command false ended with exit status 1; run it by hand"),
        (("sh", "-c", "echo hunter2 >&2; echo hunter2; exit 3"), r"sh \.\.\. ended with exit status 3"),
        (("no-such-program-here", "hunter2"), r"no-such-program-here \.\.\. cannot be started \(No such file"),
        (("true", "hunter2"), r"the answer of secret command true \.\.\. is empty"),
        (("a\0b",), "cannot be started"),
    ],
)
def test_a_command_that_gives_no_secret_is_named(command, said):
    """The error names the program; its arguments and what it printed stay hidden."""
    with pytest.raises(UsageError, match=said) as caught:
        SecretSource(command=command).read()
    assert "hunter2" not in str(caught.value)


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path, monkeypatch):
    """After its time a command is ended, and so is a child that keeps its output open."""
    monkeypatch.setattr("plugins.secret.COMMAND_SECONDS", 2)
    file = tmp_path / "pid"
    source = SecretSource(command=("sh", "-c", f"sleep 60 & echo $! >{file}; wait"))
    started = time.monotonic()
    with pytest.raises(UsageError, match=r"gave no answer within 2 s"):
        source.read()
    assert time.monotonic() - started < 20
    child = int(file.read_text())
    assert eventually(lambda: ended(child))


def test_a_command_runs_once_for_all_hosts(tmp_path):
    """Hosts that ask at the same moment get one answer of one run of the command."""
    file = tmp_path / "runs"
    source = SecretSource(command=("sh", "-c", f"echo x >>{file}; sleep 0.1; echo hunter2-shared"))
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(source.read().reveal())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["hunter2-shared"] * 8
    assert file.read_text() == "x\n"


def test_a_command_has_no_terminal_and_no_input():
    """A command that asks gets an end of file at once instead of eating what the operator types."""
    script = "import os,sys; print(repr(sys.stdin.read()), os.isatty(0))"
    assert SecretSource(command=(sys.executable, "-c", script)).read().reveal() == "'' False"


@pytest.mark.parametrize("given_", [{}, {"env": "A", "file": "b"}, {"env": None}, "hunter2", 5, ["hunter2"], {"x": 1}])
def test_a_source_is_exactly_one_place(given_):
    """None, two, an unknown one and a plain value are refused, and the value is not shown."""
    with pytest.raises(ValidationError) as caught:
        SecretSource.model_validate(given_)
    assert "hunter2" not in str(caught.value)


def test_a_relative_file_starts_at_the_given_folder(tmp_path):
    """A relative path starts at the folder of the inventory, and ~ is the home folder."""
    context = {"folder": tmp_path}
    assert SecretSource.model_validate({"file": "a/b"}, context=context).file == tmp_path / "a/b"
    home = Path(os.path.expanduser("~"))  # noqa: PTH111
    assert SecretSource.model_validate({"file": "~/b"}, context=context).file == home / "b"
