"""How a script travels over WinRM: a short command, framed input, and errors that come as XML."""

import base64
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.connections.clixml import plain
from plugins.connections.winrm_bootstrap import (
    CHUNK,
    LONGEST_COMMAND,
    OPTIONS,
    PROGRAM,
    arguments,
    framed,
    pieces,
)
from plugins.simulate.effects import HearAll, Limit
from plugins.simulate.winrm_session import session

WORD = "0123456789abcdef" * 2
LINE = " ".join((PROGRAM, *arguments()))
XML = '#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">{}</Objs>'


def test_the_command_is_short_and_its_text_ascii() -> None:
    """Half of what cmd.exe takes, so that there is room; no profile, no questions, errors as text."""
    assert len(LINE) < LONGEST_COMMAND // 2
    assert {"-NoProfile", "-NonInteractive"} <= set(OPTIONS)
    text = base64.b64decode(arguments()[-1]).decode("utf-16-le")
    assert text.isascii()
    assert not re.search(r"^\s*#", text, re.MULTILINE)


def arrived(script: bytes) -> bytes | None:
    """Give the script as it arrives at a simulated host through this input; None when nothing ran."""
    found: list[bytes] = []

    def interpret(_host, data):
        found.append(data)
        yield from ()
        return 0

    effects = session(None, LINE, interpret)  # the host is only for the interpreter
    assert next(effects) == HearAll()
    with pytest.raises(StopIteration) as end:  # noqa: PT012  # which of the two ends it is what is asked
        assert effects.send(script) == Limit(30.0)
        next(effects)
    assert end.value.value == (0 if found else 97)
    return found[0] if found else None


@given(st.binary(max_size=20_000))
def test_what_is_sent_arrives(script: bytes) -> None:
    """Every byte, whatever its value."""
    assert arrived(framed(script or b" ", WORD, 30)) == (script or b" ")


@given(st.lists(st.binary(max_size=5000), max_size=3), st.binary(max_size=6000))
def test_secrets_travel_beside_the_script(secrets: list[bytes], script: bytes) -> None:
    """Each in a line of its own, and none in the lines that are the script's."""
    lines = b"".join(b"#secret %s\n" % base64.b64encode(secret) for secret in secrets)
    sent = framed(lines + script, WORD, 30)
    assert arrived(sent) == lines + script
    assert sent.count(b"\r\n#secret ") == len(secrets)


@given(st.binary(min_size=1, max_size=6000), st.data())
def test_a_script_that_is_cut_anywhere_does_not_run(script: bytes, data) -> None:
    """Up to the last character of its end line."""
    whole = framed(script, WORD, 30).rstrip()
    assert arrived(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_pieces_are_the_whole_and_only_the_last_is_marked(size: int) -> None:
    """Each is as long as one message may be, at most."""
    found = list(pieces(b"x" * size))
    assert b"".join(piece for piece, _ in found) == b"x" * size
    assert [last for _, last in found] == [False] * (len(found) - 1) + [True]
    assert max(len(piece) for piece, _ in found) <= CHUNK


def test_another_command_is_refused_by_a_simulated_host() -> None:
    """One changed character is enough; a line over cmd.exe's limit fails as it does there."""
    for line, words in ((f"{LINE} ", b"none of the runbooks'"), ("x" * 8192, b"The command line is too long.")):
        assert words in next(session(None, line, None)).data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\r\n", b"plain\r\n"),
        (XML.format("").encode(), b""),
        (XML.format('<Obj S="progress" RefId="0"/>').encode(), b""),
        (XML.format('<S S="Error">a_x000D__x000A_</S><S S="Error">b_x0009__x005F_</S>').encode(), b"a\nb\t_"),
        (XML.format('<S S="Warning">w</S><S S="verbose">v</S>').encode(), b"w"),
        (XML.format('<S S="Error">_xD83D__xDE00_</S>').encode(), "😀".encode()),
        (b"before\r\n" + XML.format('<S S="Error">e</S>').encode() + b"\r\nafter", b"before\r\ne\r\nafter"),
        (b"#< CLIXML\r\n<Objs broken", b"<Objs broken"),
    ],
)
def test_errors_as_xml_become_text(data: bytes, text: bytes) -> None:
    """Errors and warnings stay, escapes are undone, progress goes, and what is no XML stays as it is."""
    assert plain(data) == text


@pytest.mark.skipif(shutil.which("pwsh") is None, reason="pwsh is not installed: the bootstrap is not run for real")
@pytest.mark.parametrize(
    ("script", "status", "output"),
    [
        ("Write-Output 'grüß € 漢字'; exit 3", 3, "grüß € 漢字"),
        ("[Console]::Out.WriteLine('a')", 0, "a"),
        ("throw 'no'", 1, ""),
        ("'a' ; if (", 2, ""),
        ("#secret YQ==\n#secret w6k=\nWrite-Output $StepsSecrets[1] $StepsSecrets.Count", 0, "w6k=\n2"),
        ("Start-Sleep 30", 124, ""),
    ],
)
def test_a_real_powershell_runs_it(script: str, status: int, output: str) -> None:
    """Exit status, UTF-8 and deadline; a script that does not parse runs not at all."""
    data = framed(script.encode(), WORD, 3)
    done = subprocess.run(["pwsh", *arguments()], input=data, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.decode().strip()) == (status, output)


def test_the_bootstrap_parses() -> None:
    """Under the PowerShell grammar, as it goes to the host."""
    grammar = pytest.importorskip("tree_sitter_powershell")
    tree_sitter = pytest.importorskip("tree_sitter")
    text = base64.b64decode(arguments()[-1]).decode("utf-16-le")
    tree = tree_sitter.Parser(tree_sitter.Language(grammar.language())).parse(text.encode())
    assert not tree.root_node.has_error, tree.root_node
