"""YAML files: what YAML itself gets wrong is said with line and column, in plain words, quoting nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.inventory.documents import Document, parse, read

EMPTY = Document("hosts.yaml", None, None)


def said(text: str) -> list[str]:
    return [str(finding) for finding in parse(text, EMPTY, "hosts").findings]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("linux-1:\n\thostname: a\n", "line 2, column 1"),
        ("linux-1:\n  hostname: a\n  \tport: 1\n", "line 3, column 3"),
        ("\tlinux-1: {}\n", "line 1, column 1"),
        ("a:\n  text: |\n    x\n\ty\n", "line 4, column 1"),
    ],
)
def test_a_tab_is_named_with_line_and_column(text, place):
    """A tab in the indentation is called a tab, and its place is where it stands."""
    assert said(text) == [f"hosts.yaml: {place}: a tab, where YAML takes only spaces; replace the tab by spaces"]


@pytest.mark.parametrize("text", ['a: "x\ty"\n', "# a\tcomment\na: b\n", "a: b # c\td\n"])
def test_a_tab_that_yaml_allows_is_no_error(text):
    """Tabs in quotes and comments are nobody's business."""
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: b: c\n", "line 1, column 5: a colon where none can stand; put a value that holds a colon in quotes"),
        ("a:\n   b: 1\n  c: 2\n", "line 3, column 3: this does not fit the lines above it; give the keys"),
        ("p: *S3cret!x\n", "line 1, column 11: a value that begins with * or &"),
        ("p: *S3cret\n", "line 1, column 4: a value that begins with * or &"),
        ("p: !S3cret x\n", "line 1, column 4: a value that begins with !"),
        ("p: @S3cret\n", "line 1, column 4: a value that begins with a character that YAML reserves"),
        ("x: y\np: 'S3cret\n", "line 2, column 4: a quote that is not closed"),
        ('p: "S3c\\qret"\n', "line 1, column 4: a quote that is not closed, or a backslash in double quotes"),
        ("a: [S3cret,\nb: c\n", "line 1, column 4: a bracket or brace that is not closed"),
        ("a: b\n---\nc: d\n", "line 2, column 1: a second document begins here"),
        ("? [a]\n: b\n", "line 1, column 3: a list or mapping in the place of a key"),
        ("a: b\nc: \x07S3cret\n", "line 2: a control character"),
        ("a: !!int S3cret\n", "a value that does not fit the type"),
        ("<<: S3cret\n", "line 1, column 5: << without a mapping"),
        ("a: S3cret }\nb: }\n", "line 2, column 4: this is not YAML"),
        ("a: &x {S3cret: *x, S3cret: 1}\n", "a: S3cret: written twice, in line 1; YAML would keep only the last"),
    ],
)
def test_what_yaml_refuses_is_said_in_plain_words(text, words):
    """Each common slip has its own words, with the place; no value is quoted."""
    (finding,) = said(text)
    assert finding.startswith(f"hosts.yaml: {words}")
    if "written twice" not in finding:
        assert "S3c" not in finding


def test_a_name_written_twice_is_an_error():
    """The first of two hosts with one name would be lost without a word: both lines are named."""
    text = "linux-1:\n  port: 1\nlinux-2: {}\nlinux-1:\n  port: 2\n"
    assert said(text) == [
        (
            "hosts.yaml: linux-1: written twice, in line 1 and in line 4; "
            "YAML would keep only the last one: rename or remove one"
        )
    ]


def test_a_key_written_twice_is_found_at_any_depth():
    """A double key is named with its path, in lists and in blocks that are referred to as well."""
    text = "a:\n  data:\n    ssh: {agent: true, agent: false}\n    list: [{x: 1, x: 2}]\n"
    assert [finding.partition(": written")[0] for finding in said(text)] == [
        "hosts.yaml: a: data.ssh.agent",
        "hosts.yaml: a: data.list.0.x",
    ]


def test_below_a_secret_s_key_names_are_hidden():
    """What stands below a password may be the password, written as a key."""
    assert "password.(hidden): written twice" in said("a: {password: {S3cret: 1, S3cret: 2}}")[0]
    assert "S3cret" not in said("a: {ssh_password=S3cret: 1, ssh_password=S3cret: 2}")[0]


def test_references_and_merges_are_read():
    """YAML's anchors work, and a block that refers to itself ends."""
    document = parse("a: &x {port: 1}\nb:\n  <<: *x\n  port: 2\nc: *x\n", EMPTY, "hosts")
    assert document.findings == ()
    assert document.data == {"a": {"port": 1}, "b": {"port": 2}, "c": {"port": 1}}
    assert parse("a: &x [*x]\n", EMPTY, "hosts").data is not None


def test_dates_stay_text():
    """A label such as 2024-02-30 is text, and no error."""
    assert parse("a: 2024-02-30\n", EMPTY, "hosts").data == {"a": "2024-02-30"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty; write hosts into it"),
        (b"# nothing\n", "the file is empty; write hosts into it"),
        (b"{}\n", "the file is empty; write hosts into it"),
        (b"- linux-1\n", "expected hosts, found a list"),
        (b"linux-1\n", "expected hosts, found a single value"),
        (b"a: \xff\n", "byte 4 is not UTF-8; save the file as UTF-8"),
    ],
)
def test_a_file_without_a_mapping_is_named(tmp_path, content, words):
    """Empty files, lists and other encodings are said to be what they are."""
    file = tmp_path / "hosts.yaml"
    file.write_bytes(content)
    (finding,) = read(file, "hosts").findings
    assert str(finding).startswith(f"{file}: {words}")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    """A file that is not there, or cannot be read, is named."""
    assert "the file does not exist; write hosts into it" in str(read(tmp_path / "no", "hosts").findings[0])
    assert "cannot be read (Is a directory)" in str(read(tmp_path, "hosts").findings[0])


def test_a_byte_order_mark_and_dos_line_ends_are_read(tmp_path):
    """Files from a Windows editor are read like others."""
    file = tmp_path / "hosts.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read(file, "hosts").data == {"a": 1, "b": 2}


@given(st.text(st.sampled_from("ab:\n \t-'\"[]{}*&!|>%@#,?.0\\\x07<"), max_size=40))
def test_any_text_is_either_read_or_explained(text):
    """No text makes the reader raise, and each finding is one line."""
    document = parse(text, EMPTY, "hosts")
    assert document.data is not None or document.findings
    assert all("\n" not in str(finding) for finding in document.findings)
