"""Split an ssh config into lines as ssh does, each with its position in the file.

Bytes stay bytes, whatever their encoding: the file is the user's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# readconf.c, strdelim(): blanks, a keyword that may stand in quotes, then blanks or one "=".
_LINE = re.compile(rb'[ \t\r]*"?([^\s"=#][^\s"=]*)"?[ \t\r]*=?[ \t\r]*(.*)', re.DOTALL)
# misc.c, argv_split(): words of pieces, bare or in quotes. A backslash escapes a quote, itself, or
# a blank. The alternatives exclude each other, so that a quote that is never closed takes linear
# time.
_PIECE = re.compile(rb"\"((?:\\.|[^\"\\])*)\"|'((?:\\.|[^'\\])*)'|((?:\\.?|[^\s\"'\\])+)")
_SPECIAL = re.compile(rb"[\"'\\#]")
_WORD = re.compile(rb"(?:\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\\.?|[^\s\"'\\])+")


@dataclass(frozen=True)
class Line:
    """A line with a keyword."""

    number: int
    start: int
    """Offset of its first byte."""
    end: int
    """Offset of the byte after its line ending."""
    keyword: str
    """In lowercase, since ssh ignores the case."""
    written: str
    """The keyword as it is written."""
    value: str
    """The rest of the line, without the line ending."""
    arguments: tuple[str, ...]
    """The words of the value, without quotes and without a comment at the end."""


def lines(content: bytes) -> Iterator[Line]:
    """Yield the lines of a config that are neither empty nor a comment."""
    for number, start, raw in numbered(content):
        match = _LINE.match(raw)
        if not match:
            continue
        value = match[2].rstrip(b" \t\r\n\f")
        yield Line(
            number=number,
            start=start,
            end=start + len(raw),
            keyword=text(match[1].lower()),
            written=text(match[1]),
            value=text(value),
            arguments=tuple(_words(value)),
        )


def numbered(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, offset and bytes of every line, with its ending.

    For ssh, only a newline ends a line.
    """
    start = 0
    for number, raw in enumerate(re.findall(rb"[^\n]*\n|[^\n]+", content), 1):
        yield number, start, raw
        start += len(raw)


def text(raw: bytes) -> str:
    """Decode bytes so that encoding the text returns the same bytes."""
    return raw.decode("utf-8", "surrogateescape")


def _words(value: bytes) -> Iterator[str]:
    # Nearly all lines have words alone, and a configuration may have thousands.
    if not _SPECIAL.search(value):
        yield from map(text, value.split())
        return
    for word in _WORD.finditer(value):
        if word[0].startswith(b"#"):
            return
        pieces = [_unquoted(piece) for piece in _PIECE.finditer(word[0])]
        yield text(b"".join(pieces))


def _unquoted(piece: re.Match[bytes]) -> bytes:
    double_quoted, single_quoted, bare = piece.groups()
    if bare is not None:
        return re.sub(rb"\\([\"'\\ ])", rb"\1", bare)
    quoted = single_quoted if double_quoted is None else double_quoted
    return re.sub(rb"\\([\"'\\])", rb"\1", quoted)
