"""`~/.ssh/config` as bytes: what lies between our markers is ours, every other byte comes out as it went in.

A block holds the one `Include`, or the Host blocks of a site; the state of the file is the blocks that are in it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from generator import paths
from generator.compiler.digests import digest
from generator.errors import GenError
from generator.install import foreign_blocks
from generator.install.mode import Mode
from generator.ssh.config_lines import lines, numbered

INCLUDED = f"~/{paths.SITE_CONFIGS}/*.conf"
INCLUDE = f"Include {INCLUDED}\n".encode()
"""The body of the block that reads every installed site; a tilde means the same to each OpenSSH that has Include."""

# The text of the markers is an interface: people and programs search for it, and an older gen must be undone.
_BEGIN = "# >>> gen{}: managed, do not edit between these lines >>>"
_END = "# <<< gen{} <<<"
_MARKER = re.compile(
    rb"# (?:>>> gen(?P<begin>(?: [a-z0-9-]+)?): managed, do not edit between these lines >>>"
    rb"|<<< gen(?P<end>(?: [a-z0-9-]+)?) <<<)"
)
_LIKE_A_MARKER = re.compile(rb"\s*#\s*(?:>>>|<<<)\s*gen\b")
_BOM = b"\xef\xbb\xbf"
# Lines after the Host blocks of a site are for every host again, as they are after an Include.
_RESET = b"\nHost *\n"


@dataclass(frozen=True)
class Block:
    """One of our blocks: `start:end` are its bytes with both markers, `site` is empty where it holds the Include."""

    site: str
    start: int
    end: int
    body: bytes
    number: int
    """Line of its first marker, from 1."""


def inline(conf: bytes) -> bytes:
    """Return the body of a block that holds the Host blocks of a site."""
    return conf + _RESET


def mode(content: bytes, name: str) -> Mode | None:
    """Tell how a file is told of the sites; ``None`` where nothing in it is ours.

    Raises:
        GenError: the markers are not in pairs.
    """
    sites = {block.site for block in blocks(content, name)}
    return (Mode.INCLUDE if "" in sites else Mode.INLINE) if sites else None


def blocks(content: bytes, name: str) -> list[Block]:
    """Return our blocks in the order of the file.

    Raises:
        GenError: a line for each marker that has no partner, was changed, or comes twice, and for a NUL byte.
    """
    found: list[Block] = []
    faults: list[str] = []
    begun: _Begun | None = None
    for number, start, line in numbered(content):
        if b"\0" in line:
            faults.append(
                f"{name}:{number}: has a NUL byte, so it is no configuration that ssh reads; mend the file"
            )
            break
        text = line.removeprefix(_BOM)
        marker = _MARKER.fullmatch(text.strip())
        if marker is None:
            if _LIKE_A_MARKER.match(text):
                faults.append(
                    f"{name}:{number}: looks like a marker of gen's, and is none; restore or remove the line"
                )
            continue
        site, end = (marker["begin"] or marker["end"] or b"").decode().strip(), start + len(line)
        if begun and (marker["end"] is None or begun.site != site):
            faults.append(begun.fault(name))
        if marker["end"] is None:
            begun = _Begun(site, end - len(text), end, number)
            continue
        if begun is None or begun.site != site:
            faults.append(
                f"{name}:{number}: a block of gen's ends here that was not begun; remove the line"
            )
        else:
            found.append(Block(site, begun.start, end, content[begun.inside : start], begun.number))
        begun = None
    faults += [begun.fault(name)] if begun else []
    faults += _twice(found, name)
    if faults:
        raise GenError("\n".join([*faults, f"{name} was left as it is."]))
    return found


@dataclass(frozen=True)
class _Begun:
    """A block whose end is still to come."""

    site: str
    start: int
    inside: int
    number: int

    def fault(self, name: str) -> str:
        return f"{name}:{self.number}: a block of gen's begins here and has no end; add the line {_end(self.site)}"


def edited(content: bytes, name: str, known: Mapping[str, Iterable[str]]) -> str | None:
    """Say which of our blocks holds what gen did not write; `known` has the digests of each site's Host blocks.

    Raises:
        GenError: the markers are not in pairs.
    """
    changed = [
        block
        for block in blocks(content, name)
        if not _as_written(block, known.get(block.site, ()))
    ]
    places = " and ".join(f"line {block.number}" for block in changed)
    return f"the block of gen's at {places} was edited since gen wrote it" if changed else None


def _as_written(block: Block, known: Iterable[str]) -> bool:
    body = _unix(block.body)
    return digest(body.removesuffix(_RESET)) in known if block.site else body == INCLUDE


def arranged(content: bytes, name: str, wanted: Mapping[str, bytes]) -> bytes:
    """Return the file with these blocks and no other of ours: one that is there stays in its place.

    Raises:
        GenError: the markers are not in pairs.
    """
    there = blocks(content, name)
    missing = sorted(wanted.keys() - {block.site for block in there})
    ending = b"\r\n" if content.partition(b"\n")[0].endswith(b"\r") else b"\n"
    new = b"".join(_written(site, wanted[site], ending) for site in missing)
    if not there:
        at = _top(content)
        return content[:at] + new + content[at:]
    parts, done = [], 0
    for block in there:
        parts.append(content[done : block.start])
        if block.site in wanted:
            parts.append(_replaced(content, block, wanted[block.site], ending))
        done = block.end
    before = b"".join(parts)
    if new and before not in (b"", _BOM) and not before.endswith(b"\n"):
        new = ending + new  # somebody took the last line ending of our block
    return before + new + content[done:]


def _replaced(content: bytes, block: Block, body: bytes, ending: bytes) -> bytes:
    """Return a block with another body, and not a byte different where the body is the same."""
    if _unix(block.body) == body:
        return content[block.start : block.end]
    return _written(block.site, body, ending)


def _written(site: str, body: bytes, ending: bytes) -> bytes:
    name = f" {site}" if site else ""
    text = _BEGIN.format(name).encode() + b"\n" + body + _end(site).encode() + b"\n"
    return text.replace(b"\n", ending)


def _end(site: str) -> str:
    return _END.format(f" {site}" if site else "")


def _unix(body: bytes) -> bytes:
    return body.replace(b"\r\n", b"\n")


def _twice(found: Iterable[Block], name: str) -> list[str]:
    seen: dict[str, int] = {}
    again = [
        (block, first)
        for block in found
        if (first := seen.setdefault(block.site, block.number)) != block.number
    ]
    return [
        f"{name}:{block.number}: the same block of gen's is at line {first}; remove one"
        for block, first in again
    ]


def _top(content: bytes) -> int:
    """Return where a block goes in: on top, but below an IgnoreUnknown, since ssh takes the first of these.

    On top all options of ours come first, which is what ssh takes. Never into a block of another tool's.
    """
    at = len(_BOM) if content.startswith(_BOM) else 0
    for line in lines(content):
        if line.keyword in ("host", "match"):
            break
        if line.keyword == "ignoreunknown" and content[line.start : line.end].endswith(b"\n"):
            at = line.end
            break
    return next(
        (block.start for block in foreign_blocks.blocks(content) if block.start < at < block.end),
        at,
    )
