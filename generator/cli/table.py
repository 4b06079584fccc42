"""Tables of text, as wide as the terminal.

rich has them too, but takes as long to import as pydantic.
"""

import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

from generator.formatting import printable_lines

_GAP = "  "


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return a table; a column without any value is left out, and long values are wrapped.

    Where the longest words do not fit side by side, each row becomes lines of a heading and a
    value: a word that is cut, such as a fingerprint, could be neither compared nor copied.
    """
    columns: list[list[str]] = []
    for number, heading in enumerate(headings):
        values = [printable_lines(row[number]) for row in rows]
        if any(values):
            columns.append([heading, *values])
    word_widths = [_widest(column, None) for column in columns]
    if sum(word_widths) > _for_values(len(columns), width):
        return _entries(columns, width)
    widths = _fitted(columns, word_widths, width)
    lines: list[str] = []
    for cells in zip(*columns, strict=True):
        lines += _row(cells, widths)
    rule = "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    # The headings are one line: each is one word, and no column is narrower than a word.
    return "\n".join([*lines[:1], rule, *lines[1:]])


def _for_values(columns: int, width: int) -> int:
    """Return how many letters of a row are left for values, beside the gaps."""
    return width - len(_GAP) * (columns - 1)


def _entries(columns: Sequence[Sequence[str]], width: int) -> str:
    """Return the rows below each other, each as lines of a heading and a value."""
    headings, *rows = zip(*columns, strict=True)
    label = max(map(_width, headings))
    entries: list[str] = []
    for row in rows:
        lines: list[str] = []
        for heading, value in zip(headings, row, strict=True):
            if value:
                lines += _row((heading, value), (label, max(1, width - label - len(_GAP))))
        entries.append("\n".join(lines))
    return "\n\n".join(entries)


def _fitted(columns: Sequence[Sequence[str]], word_widths: Sequence[int], width: int) -> list[int]:
    """Return the widths of columns: the widest are narrowed until a row fits, not below a word."""
    widths = [_widest(column, "\n") for column in columns]
    while sum(widths) > _for_values(len(widths), width):
        # A column that is as wide as its longest word cannot be narrowed.
        narrowable = [number for number, word in enumerate(word_widths) if widths[number] > word]
        widest = max(narrowable, key=lambda number: (widths[number], number))
        widths[widest] -= 1
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
    """Return a text as lines of a width, broken at spaces; a word that is too long stays whole."""
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
