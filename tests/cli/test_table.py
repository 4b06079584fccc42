"""Tables of text."""

import pytest

from generator.cli.table import table

HEADINGS = ("name", "note")


def test_columns_are_as_wide_as_their_values() -> None:
    assert table(HEADINGS, [("a", "first"), ("longer", "")], 80) == (
        "name    note\n"
        "─────────────\n"
        "a       first\n"
        "longer"
    )  # fmt: skip


def test_a_column_without_values_is_left_out() -> None:
    assert table(HEADINGS, [("a", ""), ("b", "")], 80) == "name\n────\na\nb"


def test_the_lines_of_a_value_stay_lines() -> None:
    assert table(HEADINGS, [("a", "first\nsecond"), ("b", "third")], 80).splitlines()[2:] == [
        "a     first",
        "      second",
        "b     third",
    ]


def test_the_widest_column_is_wrapped_at_spaces_until_a_row_fits() -> None:
    lines = table(HEADINGS, [("a-name-without-spaces", "one two three four five")], 36).splitlines()
    assert lines[2:] == [
        "a-name-without-spaces  one two three",
        "                       four five",
    ]


@pytest.mark.parametrize("width", [15, 1])
def test_words_that_do_not_fit_side_by_side_are_below_each_other_and_whole(width: int) -> None:
    # A broken terminal, or COLUMNS=1, reports a width of 0 or 1.
    rows = [("a", "x" * 20), ("long-name", "some words"), ("b", "")]
    lines = table(HEADINGS, rows, width).splitlines()
    assert lines == [
        "name  a",
        "note  " + "x" * 20,
        "",
        "name  long-name",
        "note  some",
        "      words",
        "",
        "name  b",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        # East Asian letters take two columns of a terminal, a combining mark takes none; len()
        # counts both as one.
        pytest.param("日本", "日本  x", id="letters of two columns"),
        pytest.param("Zu\u0308", "Zu\u0308    x", id="a letter with a combining mark"),
    ],
)
def test_letters_of_other_widths_are_aligned(text: str, line: str) -> None:
    assert table(HEADINGS, [(text, "x")], 80).splitlines()[2] == line


def test_control_characters_are_printed_as_their_numbers() -> None:
    assert table(("name",), [("a\x1b[31mred",)], 80).splitlines()[2] == "a\\u001b[31mred"
