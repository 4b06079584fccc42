"""Values as text for a user."""

import pytest

from generator import formatting
from generator.formatting import printable


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h 0 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: int, text: str) -> None:
    assert formatting.span(seconds) == text


@pytest.mark.parametrize(
    ("number", "plural", "text"),
    [(0, "", "0 files"), (1, "", "1 file"), (2, "", "2 files"), (2, "filez", "2 filez")],
)
def test_a_noun_agrees_with_its_number(number: int, plural: str, text: str) -> None:
    assert formatting.count(number, "file", plural) == text


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d", "e"], "a, b, c and 2 more")],
)
def test_a_long_list_is_cut(names: list[str], text: str) -> None:
    assert formatting.listed(names) == text


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [("2048K", 2), ("512", 512), ("512M", 512), ("3G", 3072), ("1T", 1 << 20)],
)
def test_memory_is_read_in_each_unit(text: str, megabytes: int) -> None:
    assert formatting.megabytes(text) == megabytes


@pytest.mark.parametrize(("megabytes", "text"), [(3072, "3G"), (1 << 20, "1024G"), (1500, "1500M")])
def test_memory_is_written_in_the_largest_exact_unit(megabytes: int, text: str) -> None:
    assert formatting.memory(megabytes) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\x1b[31mred", "\\u001b[31mred", id="colour"),
        pytest.param("\x1b]0;title\x07", "\\u001b]0;title\\u0007", id="terminal title"),
        pytest.param("a\nb\r", "a\\u000ab\\u000d", id="line endings"),
        pytest.param("a\u202eb", "a\\u202eb", id="right-to-left override"),
        pytest.param("\udcff", "\\udcff", id="byte that is not UTF-8"),
        # GitHub's runner reads a command at the start of a line, Azure's anywhere in it.
        pytest.param("::error::x", "\\u003a:error::x", id="command for GitHub's runner"),
        pytest.param("  ::error::x", "  \\u003a:error::x", id="the same behind blanks"),
        pytest.param("a ##vso[task]", "a \\u0023#vso[task]", id="command for Azure's runner"),
        pytest.param("a ##[group]", "a \\u0023#[group]", id="group for Azure's runner"),
    ],
)
def test_text_that_drives_a_terminal_or_a_runner_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    # IPv6 addresses and paths have colons too.
    "text",
    ["", "Zürich", "a::b", "[::1]:22", "::1", "::ffff:10.0.0.1", "# a comment", "C:\\Users"],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_long_text_is_cut() -> None:
    assert printable("abcdef", most=3) == "abc…"


def test_lines_are_kept_apart() -> None:
    assert formatting.printable_lines("a\x07\r\n::b::") == "a\\u0007\n\\u003a:b::"


@pytest.mark.parametrize(
    ("text", "line"), [("", ""), ("\n \n", ""), ("first\nlast \x07\n\n", "last \\u0007")]
)
def test_the_last_line_is_the_last_that_is_not_empty(text: str, line: str) -> None:
    assert formatting.last_line(text) == line
