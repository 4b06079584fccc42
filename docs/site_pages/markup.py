"""Markdown that no text of a spec can break out of: what has a meaning there is written as a character reference."""

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

_PLAIN = " ,.:;()/-–…@%?'"
_ADDRESS = "%/:?#@&=+,;~.$-"
_LINK = re.compile(r"https?://[^\s<>\"'`\\]*[^\s<>\"'`\\.,;:()]")
_PROSE = re.compile(rf"`([^`]+)`|({_LINK.pattern})")


def text(value: str) -> str:
    """Return a text as Markdown that shows it letter by letter."""
    return "".join(
        char if char.isalnum() or char in _PLAIN else f"&#{ord(char)};" for char in value
    )


def code(value: str) -> str:
    """Return a text in the type of commands and names."""
    return f"<code>{text(value)}</code>"


def link(label: str, target: str) -> str:
    """Return a link; the label is Markdown already."""
    return f"[{label}]({quote(target, safe=_ADDRESS)})"


def prose(value: str) -> str:
    """Return a sentence of a spec: addresses become links, what stands in backticks becomes code, all else is text."""
    parts, end = list[str](), 0
    for found in _PROSE.finditer(value):
        parts += [text(value[end : found.start()])]
        parts += [code(found[1]) if found[1] else link(text(found[2]), found[2])]
        end = found.end()
    return "".join([*parts, text(value[end:])])


def paragraph(markdown: str) -> Iterator[str]:
    """Yield the lines of a paragraph: at its start a digit would begin a list, a space code, a colon a definition."""
    first = markdown[0]
    yield markdown if first.isalpha() or first in "&[<*" else f"&#{ord(first)};{markdown[1:]}"
    yield ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table of those columns that hold something; nothing when there is no row."""
    filled = [row for row in rows if any(row)]
    used = [column for column in range(len(headings)) if any(row[column] for row in filled)]
    if not used:
        return
    for row in [headings, ["---"] * len(headings), *filled]:
        yield "| " + " | ".join(row[column] for column in used) + " |"
    yield ""


def bullets(items: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a list; nothing when it is empty."""
    lines = [f"- {item}" for item in items]
    yield from [*lines, ""] if lines else []
