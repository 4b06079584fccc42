"""Tables of text, as wide as the terminal.

rich has them too, but takes as long to import as pydantic.
"""

import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

from generator.formatting import printable_lines

_GAP = "  "
# No column is made narrower than this; the terminal breaks a row that is too long even so.
_LEAST = 8


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return a table; a column without any value is left out, and long values are wrapped."""
    columns: list[list[str]] = []
    for number, heading in enumerate(headings):
        values = [printable_lines(row[number]) for row in rows]
        if any(values):
            columns.append([heading, *values])
    widths = _fitted(columns, width)
    lines: list[str] = []
    for cells in zip(*columns, strict=True):
        lines += _row(cells, widths)
    rule = "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    # The headings are one line: no heading is longer than the least width of a column.
    return "\n".join([*lines[:1], rule, *lines[1:]])


def _fitted(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the widths of columns.

    The widest are narrowed until a row fits, if possible at spaces.
    """
    widths = [_widest(column, "\n") for column in columns]
    words = [_widest(column, None) for column in columns]
    spare = width - len(_GAP) * (len(widths) - 1)
    while sum(widths) > spare:
        # A column that is as wide as its longest word can only be narrowed by cutting the word.
        with_spaces = [width for width, word in zip(widths, words, strict=True) if width > word]
        widest = max(with_spaces or widths)
        if widest <= _LEAST:
            break
        for number, word in enumerate(words):
            if widths[number] == widest and (widest > word or not with_spaces):
                widths[number] -= 1
                break
    return widths


def _row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return the lines of a row."""
    wrapped: list[list[str]] = []
    for cell, width in zip(cells, widths, strict=True):
        wrapped.append(_wrapped(cell, width))
    lines: list[str] = []
    for parts in zip_longest(*wrapped, fillvalue=""):
        padded: list[str] = []
        for part, width in zip(parts, widths, strict=True):
            # str.ljust counts characters, of which some take two columns.
            padded.append(part + " " * (width - _width(part)))
        lines.append(_GAP.join(padded).rstrip())
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    """Return a text as lines of a width, broken at spaces; only a word that is too long is cut."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if _width(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while _width(line) > width:
                lines.append(line[:width])
                line = line[width:]
        lines.append(line)
    return lines


def _widest(column: Sequence[str], separator: str | None) -> int:
    """Return the width of the longest line in a column, or of its longest word."""
    widest = 0
    for cell in column:
        for part in cell.split(separator):
            widest = max(widest, _width(part))
    return widest


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes; Chinese letters, say, take two each."""
    if text.isascii():
        return len(text)
    width = 0
    for char in text:
        if unicodedata.combining(char):
            continue
        width += 1
        # Wide and fullwidth characters (Unicode Standard Annex 11).
        if unicodedata.east_asian_width(char) in "WF":
            width += 1
    return width
