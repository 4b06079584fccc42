"""Lines of an ssh config as ssh reads them, each with its place; bytes stay bytes, whatever their encoding."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# readconf.c, strdelim(): blanks, a keyword that may stand in quotes, then blanks or one "=".
_LINE = re.compile(rb'[ \t\r]*"?([^\s"=#][^\s"=]*)"?[ \t\r]*=?[ \t\r]*(.*)', re.DOTALL)
# misc.c, argv_split(): words of pieces, bare or in quotes; a backslash protects a quote, itself, or a blank.
_PIECE = re.compile(rb"\"((?:\\.|[^\"\\])*)\"|'((?:\\.|[^'\\])*)'|((?:\\.?|[^\s\"'\\])+)")
_WORD = re.compile(rb"(?:\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\\.?|[^\s\"'\\])+")


@dataclass(frozen=True)
class Line:
    """A line that sets something."""

    number: int
    start: int
    """Offset of its first byte."""
    end: int
    """Offset behind its line ending."""
    keyword: str
    """In small letters, as ssh compares it."""
    written: str
    """The same as it is written."""
    value: str
    """What follows the keyword, without the line ending."""
    arguments: tuple[str, ...]
    """The same as words, quotes taken off; a comment at the end is left out."""


def lines(content: bytes) -> Iterator[Line]:
    """Yield the lines of a config that are neither empty nor a comment."""
    for number, start, raw in numbered(content):
        if match := _LINE.match(raw):
            value = match[2].rstrip(b" \t\r\n\f")
            words = tuple(_words(value))
            yield Line(
                number,
                start,
                start + len(raw),
                text(match[1].lower()),
                text(match[1]),
                text(value),
                words,
            )


def numbered(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, offset and bytes of every line, with its ending; to ssh only a newline ends one."""
    start = 0
    for number, raw in enumerate(re.findall(rb"[^\n]*\n|[^\n]+", content), 1):
        yield number, start, raw
        start += len(raw)


def text(raw: bytes) -> str:
    """Return bytes as text that turns into the same bytes again."""
    return raw.decode("utf-8", "surrogateescape")


def _words(value: bytes) -> Iterator[str]:
    for word in _WORD.finditer(value):
        if word[0].startswith(b"#"):
            return
        yield text(b"".join(_bare(piece) for piece in _PIECE.finditer(word[0])))


def _bare(piece: re.Match[bytes]) -> bytes:
    double, single, bare = piece.groups()
    if bare is not None:
        return re.sub(rb"\\([\"'\\ ])", rb"\1", bare)
    return re.sub(rb"\\([\"'\\])", rb"\1", single if double is None else double)
