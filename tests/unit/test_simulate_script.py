"""What a simulated host takes for a script: the shipped library and verb calls, and nothing else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.scripts import assemble, libraries, quote
from plugins.simulate.effects import Complain, Hear, HearAll, Limit
from plugins.simulate.script import RefusedError, read_script, words_of
from plugins.simulate.session import Command, read_command, session
from plugins.simulate.state import HostState
from plugins.simulate.world import World

BODY = "package ovn-host\nfile /etc/x 0644 root:root 'it'\"'\"'s\n#--- end\n}\nsteps_run steps_body\n'\n"
MARKER = "@0123456789abcdef0123456789abcdef "
TOKEN = "0123456789abcdef0123456789abcdef"
RECEIVER = 'while IFS= read -r l; do [ "$l" = "#go-%s" ] && { %s; exit; }; done; exit 97'
WHOLE = 'unset l; eval "$(cat)"'
ONE_LINE = 'IFS= read -r l && eval "$(printf %s "$l" | base64 -d)"'


def script(body: str = BODY, **settings: object) -> bytes:
    """Assemble a script as a task would send it."""
    wanted = {"marker": MARKER, "dry_run": False, "wait": 895, "owner": "ann@desk (process 7), install"} | settings
    return assemble(body, **wanted).encode()


def test_a_script_is_read() -> None:
    """Settings, stage and calls come out as they went in, whatever a quoted word holds."""
    read = read_script(script(dry_run=True))
    assert (read.marker, read.dry_run, read.wait, read.task) == (MARKER, True, 895.0, "install")
    assert read.calls[1].arguments[3] == "it's\n#--- end\n}\nsteps_run steps_body\n"


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_words_are_read_as_they_were_quoted(words: list[str]) -> None:
    """Whatever is in them, and an empty one, too."""
    assert words_of(" ".join(map(quote, words))) == words


@pytest.mark.parametrize("line", ["", " a", "a  b", "a 'b", "a;b", '"a"', "$x", "a\nb", f"{'a' * 100_000};"])
def test_other_lines_are_no_words(line: str) -> None:
    """Nobody would have quoted them so; a long one is refused as fast as it would be read."""
    assert words_of(line) == []


@given(owner=st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), max_size=40))
def test_any_owner_is_read(owner: str) -> None:
    """Who runs it may be called anything that fits on a line."""
    assert read_script(script(owner=owner)).owner == owner


WHOLE_SCRIPT = script()


@settings(max_examples=150, deadline=None)
@given(size=st.integers(0, len(WHOLE_SCRIPT.rstrip()) - 1))
def test_a_script_cut_off_anywhere_is_refused(size: int) -> None:
    """No beginning of a script is a script."""
    with pytest.raises(RefusedError):
        read_script(WHOLE_SCRIPT[:size])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_one_other_byte_in_the_library_is_refused(data: st.DataObject) -> None:
    """The library is compared byte by byte with the one that ships."""
    start, end = WHOLE_SCRIPT.index(b"# shellcheck"), WHOLE_SCRIPT.index(b"\nsteps_body() {\n")
    place = data.draw(st.integers(start, end - 1))
    other = b"#" if WHOLE_SCRIPT[place] != ord("#") else b"+"
    with pytest.raises(RefusedError, match=r"library|cut off"):
        read_script(WHOLE_SCRIPT[:place] + other + WHOLE_SCRIPT[place + 1 :])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (script().replace(b"package ovn", b"rm -rf ovn"), "'rm' is not a verb"),
        (script().replace(b"package ovn-host", b"package $(reboot)"), "outside quotes"),
        (script() + b"reboot\n", "cut off|goes on"),
        (b"reboot\n" + script(), "five STEPS_ settings"),
        (script().replace(b"STEPS_DRY_RUN=0", b"STEPS_DRY_RUN=2"), "five STEPS_ settings"),
        (script().replace(b"STEPS_WAIT=895", b"STEPS_WAIT=895 PATH=/tmp"), "five STEPS_ settings"),
        (script().replace(libraries()["host"].encode() + b"\n", b""), "verbs of host.sh are called"),
        (script().replace(b"ovn-host", b"ovn-\xff"), "not UTF-8"),
        (script().replace(b"ovn-host", b"ovn-\0"), "NUL"),
        (b"", "STEPS_ settings"),
    ],
)
def test_what_is_no_script_is_refused(changed: bytes, words: str) -> None:
    """The error says what is wrong, for the standard error of the simulated host."""
    with pytest.raises(RefusedError, match=words):
        read_script(changed)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("exec sudo -k -S -p '' true", Command(sudo=True, reads_password=True)),
        (f"exec timeout -k 10 900 bash --norc -c '{RECEIVER % (TOKEN, WHOLE)}'", Command(limit=900.0, token=TOKEN)),
        (
            f"exec sudo -n bash --norc -c '{RECEIVER % (TOKEN, ONE_LINE)}'",
            Command(sudo=True, token=TOKEN, by_line=True),
        ),
        (
            f"exec sudo -S -p '' timeout -k 10 5 bash --norc -c '{RECEIVER % (TOKEN, WHOLE)}'",
            Command(sudo=True, reads_password=True, limit=5.0, token=TOKEN),
        ),
        ("exec sudo -S -p '' true", None),
        ("cat /etc/passwd", None),
        (f"timeout -k 10 900 bash --norc -c '{RECEIVER % (TOKEN, WHOLE)}'", None),
        (f"exec bash --norc -c '{RECEIVER % (TOKEN, WHOLE)}'", None),
        (f"exec timeout -k 10 900 bash --norc -c '{RECEIVER % (TOKEN, 'rm -rf /')}'", None),
        (f"exec timeout -k 10 900 bash --norc -c '{RECEIVER % ('1234', WHOLE)}'", None),
        (f"exec timeout -k 10 0 bash --norc -c '{RECEIVER % (TOKEN, WHOLE)}'", None),
        ("exec bash --norc -c 'unclosed", None),
        ("", None),
    ],
)
def test_only_the_transports_own_command_lines_are_understood(text: str, command: Command | None) -> None:
    """Each form is read for what it does, and nothing near it is."""
    assert read_command(text) == command


class NoTimers:
    """Nothing happens later here."""

    def call_later(self, seconds: float, action: object) -> None:
        """Forget it."""


def talk(text: str, *lines: bytes, rest: bytes = b"", sudo_password: str | None = None) -> tuple[int, str]:
    """Play a session of the user `operator` to its end; give its status and what it said."""
    world = World([HostState("linux-1", "linux", "10.142.0.3")], NoTimers(), sudo_password=sudo_password)
    play, answer, said, given = session(world.hosts["linux-1"], "operator", text), None, b"", list(lines)
    while True:
        try:
            effect = play.send(answer)
        except StopIteration as end:
            return end.value, said.decode()
        answer = None
        match effect:
            case Hear():
                answer = given.pop(0) if given else b""
            case HearAll():
                answer = rest
            case Complain(data):
                said += data
            case Limit():
                pass
            case other:
                said += getattr(other, "data", b"")


PLAIN = f"exec sudo -n timeout -k 10 900 bash --norc -c '{RECEIVER % (TOKEN, WHOLE)}'"
WITH_PASSWORD = PLAIN.replace("sudo -n", "sudo -S -p ''")
GO = f"#go-{TOKEN}\n".encode()


def test_lines_before_the_random_one_are_dropped() -> None:
    """A password that sudo did not want is no part of the script."""
    status, said = talk(WITH_PASSWORD, b"hunter2\n", GO, rest=script())
    assert (status, '{"end":2}' in said, "hunter2" in said) == (0, True, False)


def test_input_that_ends_before_the_random_line_runs_nothing() -> None:
    """The receiver's own status says that the line was cut."""
    assert talk(PLAIN, b"hunter2\n") == (97, "")


@pytest.mark.parametrize(
    ("lines", "status", "words"),
    [
        ([b"right\n", GO], 0, '{"end":2}'),
        ([b"wrong\n", b"right\n", GO], 0, "Sorry, try again."),
        ([b"wrong\n"], 1, "1 incorrect password attempt"),
        ([b"wrong\n", GO, b"line of the script\n"], 1, "3 incorrect password attempts"),
        ([], 1, "no password was provided"),
    ],
)
def test_sudo_takes_each_line_for_a_try(lines: list[bytes], status: int, words: str) -> None:
    """As the real one: a wrong password would make it take the script's lines for the second and third try."""
    ended, said = talk(WITH_PASSWORD, *lines, rest=script(), sudo_password="right")
    assert (ended, words in said) == (status, True)


def test_without_a_password_sudo_asks_for_one() -> None:
    """`sudo -n` fails at once where a password is needed."""
    assert talk(PLAIN, GO, rest=script(), sudo_password="right") == (1, "sudo: a password is required\n")


def test_a_held_script_comes_as_one_line() -> None:
    """Base64 on one line; the input behind it belongs to the script, which ends with it."""
    command = f"exec sudo -n bash --norc -c '{RECEIVER % (TOKEN, ONE_LINE)}'"
    held = base64.b64encode(script("hold_lock ann 60\n")) + b"\n"
    status, said = talk(command, GO, held, b"\n", b"\n")
    assert (status, '"step":"cluster lock","status":"ok"' in said) == (0, True)


def test_a_wrong_number_of_arguments_is_refused() -> None:
    """A verb is called as it is meant to be, or the script ends with status 2."""
    status, said = talk(PLAIN, GO, rest=script("file /etc/x 0644\n"))
    assert (status, "file takes 4 arguments, not 2" in said) == (2, True)
