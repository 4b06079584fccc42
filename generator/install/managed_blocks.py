"""gen's blocks in `~/.ssh/config`, which is handled as bytes: bytes outside of them never change.

A block holds either the one `Include` line or the Host blocks of one site. The blocks in the file
are the only record of how ssh reads the installed sites.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from generator import paths
from generator.compiler.digests import digest
from generator.errors import GenError
from generator.install.foreign_blocks import foreign_blocks
from generator.install.mode import Mode
from generator.ssh.config_lines import lines, numbered

INCLUDED = f"~/{paths.SITE_CONFIGS}/*.conf"
INCLUDE = f"Include {INCLUDED}\n".encode()
"""Body of the block that reads every site. All OpenSSH versions with Include expand the tilde."""

# The text of the markers is an interface: users and programs search for it, and a newer gen has to
# remove the blocks of an older one.
_BEGIN = "# >>> gen{}: managed, do not edit between these lines >>>"
_END = "# <<< gen{} <<<"
_MARKER = re.compile(
    rb"# (?:>>> gen(?P<begin>(?: [a-z0-9-]+)?): managed, do not edit between these lines >>>"
    rb"|<<< gen(?P<end>(?: [a-z0-9-]+)?) <<<)"
)
_LIKE_A_MARKER = re.compile(rb"\s*#\s*(?:>>>|<<<)\s*gen\b")
_BOM = b"\xef\xbb\xbf"
# Without this line, the user's lines below the block would belong to the site's last Host block.
_RESET = b"\nHost *\n"


@dataclass(frozen=True)
class ManagedBlock:
    """One of gen's blocks: bytes `start:end` with both markers; `site` is "" for the Include."""

    site: str
    start: int
    end: int
    body: bytes
    line: int
    """Line of its first marker, from 1."""


def inline_body(conf: bytes) -> bytes:
    """Return the body of a block that holds the Host blocks of a site."""
    return conf + _RESET


def machine_include(site: str) -> bytes:
    """Return the line above the Host blocks of a site that reads its file for this machine."""
    return f"Include ~/{paths.installed_machine_config(site)}\n".encode()


def mode_of(content: bytes, name: str) -> Mode | None:
    """Return how a config reads the installed sites, ``None`` if it has none of gen's blocks."""
    sites = {block.site for block in managed_blocks(content, name)}
    if not sites:
        return None
    if "" in sites:
        return Mode.INCLUDE
    return Mode.INLINE


def managed_blocks(content: bytes, name: str) -> list[ManagedBlock]:
    """Return gen's blocks in the order of the file.

    Raises:
        GenError: a line for each marker that is unpaired, edited or repeated, and for a NUL byte.
    """
    reader = _BlockReader(content, name)
    for number, start, line in numbered(content):
        if b"\0" in line:
            reader.faults.append(
                f"{name}:{number}: contains a NUL byte, so ssh cannot read the file "
                "(is it UTF-16?); save it as UTF-8"
            )
            break
        reader.read_line(number, start, line)
    reader.finish()
    if reader.faults:
        raise GenError("\n".join([*reader.faults, f"{name} was not changed."]))
    return reader.blocks


@dataclass(frozen=True)
class _OpenBlock:
    """A block whose end marker is still to come."""

    site: str
    start: int
    body_start: int
    line: int


class _BlockReader:
    """Collects blocks and faults, line by line."""

    def __init__(self, content: bytes, name: str) -> None:
        self.blocks: list[ManagedBlock] = []
        self.faults: list[str] = []
        self._content = content
        self._name = name
        self._open: _OpenBlock | None = None

    def read_line(self, number: int, start: int, line: bytes) -> None:
        # A byte order mark may be before our first marker, where the user's editor put it.
        text = line.removeprefix(_BOM)
        marker = _MARKER.fullmatch(text.strip())
        if marker is None:
            if _LIKE_A_MARKER.match(text):
                self._add_fault(
                    number, "looks like a marker of gen but is not; restore or remove the line"
                )
            return
        end = start + len(line)
        if marker["end"] is None:
            self.finish()
            self._open = _OpenBlock(_site(marker["begin"]), end - len(text), end, number)
        else:
            self._end_block(_site(marker["end"]), number, start, end)

    def _end_block(self, site: str, number: int, start: int, end: int) -> None:
        block = self._open
        if block is None or block.site != site:
            self.finish()
            self._add_fault(number, "ends a block of gen that has no beginning; remove the line")
            return
        body = self._content[block.body_start : start]
        self._open = None
        for earlier in self.blocks:
            if earlier.site == site:
                self._add_fault(
                    block.line, f"repeats the block of gen at line {earlier.line}; remove one"
                )
                return
        self.blocks.append(ManagedBlock(site, block.start, end, body, block.line))

    def finish(self) -> None:
        """Report the open block, if there is one: it has no end."""
        if self._open:
            end = _end_marker(self._open.site)
            self._add_fault(
                self._open.line, f"begins a block of gen that has no end; add the line {end}"
            )
        self._open = None

    def _add_fault(self, number: int, message: str) -> None:
        self.faults.append(f"{self._name}:{number}: {message}")


def _site(name: bytes) -> str:
    return name.decode().strip()


def edited(content: bytes, name: str, digests: Mapping[str, Collection[str]]) -> str | None:
    """Return which of gen's blocks the user edited; `digests` has those of each site's body."""
    places: list[str] = []
    for block in managed_blocks(content, name):
        if not is_as_written(block, digests.get(block.site, ())):
            places.append(f"line {block.line}")
    if not places:
        return None
    return f"the block of gen at {' and '.join(places)} was edited since gen wrote it"


def is_as_written(block: ManagedBlock, digests: Collection[str]) -> bool:
    """Return whether a block is as gen wrote it; `digests` has those of its site's file."""
    body = _with_unix_endings(block.body)
    if block.site:
        conf = body.removeprefix(machine_include(block.site)).removesuffix(_RESET)
        return digest(conf) in digests
    return body == INCLUDE


def arranged(content: bytes, name: str, bodies: Mapping[str, bytes]) -> bytes:
    """Return a config that has these blocks, by site, and no other of gen's.

    An existing block stays where it is, a new one goes below the existing ones or on top.
    """
    existing = managed_blocks(content, name)
    # In a file with CRLF, lines with LF alone would show as changes in some editors.
    ending = _line_ending(content)
    missing = bodies.keys() - {block.site for block in existing}
    added = b""
    for site in sorted(missing):
        added += _block(site, bodies[site], ending)
    if not existing:
        top = _top(content)
        return content[:top] + added + content[top:]
    result = b""
    copied = 0
    for block in existing:
        result += content[copied : block.start]
        if block.site in bodies:
            result += _updated(content, block, bodies[block.site], ending)
        copied = block.end
    if added and result not in (b"", _BOM) and not result.endswith(b"\n"):
        result += ending  # the user removed the line ending of gen's last line
    return result + added + content[copied:]


def _line_ending(content: bytes) -> bytes:
    """Return the ending of the first line, so that gen's lines end as the user's do."""
    first_line = content.partition(b"\n")[0]
    if first_line.endswith(b"\r"):
        return b"\r\n"
    return b"\n"


def _updated(content: bytes, block: ManagedBlock, body: bytes, ending: bytes) -> bytes:
    """Return a block with another body, or the same bytes if the body is the same."""
    if _with_unix_endings(block.body) == body:
        return content[block.start : block.end]
    return _block(block.site, body, ending)


def _block(site: str, body: bytes, ending: bytes) -> bytes:
    begin = _BEGIN.format(_suffix(site)).encode()
    text = begin + b"\n" + body + _end_marker(site).encode() + b"\n"
    return text.replace(b"\n", ending)


def _end_marker(site: str) -> str:
    return _END.format(_suffix(site))


def _suffix(site: str) -> str:
    return f" {site}" if site else ""


def _with_unix_endings(body: bytes) -> bytes:
    return body.replace(b"\r\n", b"\n")


def _top(content: bytes) -> int:
    """Return the offset for a new block: the top, but below a leading IgnoreUnknown.

    ssh takes the first value of an option, so a site's values have to come first. It takes the
    first IgnoreUnknown too, and the user's own stands for options that ours does not know.
    """
    offset = 0
    if content.startswith(_BOM):
        offset = len(_BOM)
    for line in lines(content):
        if line.keyword in ("host", "match"):
            break
        # Below a last line without an ending, our first marker would become part of that line.
        if line.keyword == "ignoreunknown" and content[line.start : line.end].endswith(b"\n"):
            offset = line.end
            break
    for block in foreign_blocks(content):
        if block.start < offset < block.end:
            return block.start
    return offset
