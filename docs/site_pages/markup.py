"""Markdown that shows every text of a spec letter by letter.

A character with a meaning in Markdown is written as a character reference.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

# Beside letters and digits: these mean nothing in Markdown within a line (spec.commonmark.org).
# `paragraph` sees to those that mean something at its start.
_PLAIN = " ,.:;()/-–…@%?'"
# Characters of RFC 3986 that mean nothing in a link of Markdown. % is among them because the URL of
# a spec is encoded already.
_SAFE_IN_URL = "%/:?#@&=+,;~.$-"
# A full stop or a bracket after a URL belongs to the sentence.
_URL = re.compile(r"https?://[^\s<>\"'`\\]*[^\s<>\"'`\\.,;:()]")
_CODE_OR_URL = re.compile(rf"`([^`]+)`|({_URL.pattern})")


def text(value: str) -> str:
    """Return a text as Markdown that shows it letter by letter."""
    parts = []
    for char in value:
        if char.isalnum() or char in _PLAIN:
            parts.append(char)
        else:
            parts.append(f"&#{ord(char)};")
    return "".join(parts)


def code(value: str) -> str:
    """Return a text as code."""
    return f"<code>{text(value)}</code>"


def link(label: str, url: str) -> str:
    """Return a link. The label is Markdown already."""
    return f"[{label}]({quote(url, safe=_SAFE_IN_URL)})"


def prose(value: str) -> str:
    """Return a sentence of a spec: URLs become links, text in backticks becomes code."""
    parts: list[str] = []
    end = 0
    for match in _CODE_OR_URL.finditer(value):
        parts.append(text(value[end : match.start()]))
        if match[1]:
            parts.append(code(match[1]))
        else:
            parts.append(link(text(match[2]), match[2]))
        end = match.end()
    parts.append(text(value[end:]))
    return "".join(parts)


def paragraph(markdown: str) -> Iterator[str]:
    """Yield the lines of a paragraph.

    At its start a digit would begin a list, a space code and a colon a definition, so a reference
    replaces them.
    """
    first = markdown[0]
    if first.isalpha() or first in "&[<*":
        yield markdown
    else:
        yield f"&#{ord(first)};{markdown[1:]}"
    yield ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table without its empty columns, or nothing if it has no rows."""
    filled: list[Sequence[str]] = []
    used: set[int] = set()
    for row in rows:
        if not any(row):
            continue
        filled.append(row)
        for column, value in enumerate(row):
            if value:
                used.add(column)
    if not used:
        return
    columns = sorted(used)
    # The second line makes a table of the others (github.github.com/gfm, "Tables").
    for row in [headings, ["---"] * len(headings), *filled]:
        yield "| " + " | ".join(row[column] for column in columns) + " |"
    yield ""


def bullets(items: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a list, or nothing if it is empty."""
    is_empty = True
    for item in items:
        yield f"- {item}"
        is_empty = False
    # Without a blank line, Markdown would add the next paragraph to the last item.
    if not is_empty:
        yield ""
