"""Turn the lines of the user's Host entries that a site replaces into comments, and restore them.

ssh uses the first value of an option. So below gen's block, a line has no effect where the site
has the same option, and a comment in its place loses nothing. Restoring needs no record, and a
user without gen can still read the line.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from generator import formatting, paths
from generator.install.foreign_blocks import ForeignBlock, foreign_blocks
from generator.ssh.client import CUMULATIVE
from generator.ssh.config_lines import Line, lines, numbered
from generator.ssh.patterns import is_pattern

_COMMENT = "# taken over by gen for {}: "
_COMMENTED = re.compile(rb"# taken over by gen for ([a-z0-9-]+): ")
# ssh ignores the second of these (ssh_config(5)).
_ROUTES = {"proxyjump", "proxycommand"}

_Options = Mapping[str, frozenset[str]]
"""The values of each option that a site sets for a name."""


@dataclass(frozen=True)
class ReplacedEntry:
    """A Host entry of the user's, all of whose names are names of a site."""

    host: Line
    replaced: tuple[Line, ...]
    """The lines that have no effect below the site's."""
    kept: tuple[Line, ...]
    """The other lines, such as LocalForward; ssh uses them beside those of the site."""

    @property
    def names(self) -> list[str]:
        """The names of the entry; patterns are none."""
        return [name for name in self.host.arguments if not is_pattern(name)]

    @property
    def location(self) -> str:
        """File and line of the entry."""
        return f"~/{paths.SSH_CONFIG}:{self.host.number}"

    @property
    def summary(self) -> str:
        """The entry and its replaced lines, in one line."""
        options = ", ".join(dict.fromkeys(line.written for line in self.replaced))
        return f"line {self.host.number}: Host {self.host.value}: {options}"

    @property
    def comments(self) -> tuple[Line, ...]:
        """The lines that become comments: with the Host line, unless others need it."""
        return self.replaced if self.kept else (self.host, *self.replaced)

    def message(self, site: str) -> str:
        """Return what became of the entry, in one line."""
        number = formatting.count(len(self.comments), "line")
        text = f"{self.location}: {number} of Host {self.host.value} became comments until "
        text += f"gen uninstall {site}"
        if self.kept:
            kept = ", ".join(dict.fromkeys(line.written for line in self.kept))
            text += f"; {kept} stays" if len(self.kept) == 1 else f"; {kept} stay"
        return text


def host_blocks(content: bytes) -> Iterator[tuple[Line, list[Line]]]:
    """Yield each Host line with its settings; Match blocks are left out."""
    host: Line | None = None
    settings: list[Line] = []
    for line in lines(content):
        if line.keyword not in ("host", "match"):
            settings.append(line)
            continue
        if host:
            yield host, settings
        host = None
        if line.keyword == "host":
            host = line
        settings = []
    if host:
        yield host, settings


def is_inside(blocks: Iterable[ForeignBlock], offset: int) -> bool:
    """Return whether an offset is in a block that gen or another tool manages."""
    return any(block.start <= offset < block.end for block in blocks)


def replaced_entries(content: bytes, conf: bytes) -> tuple[ReplacedEntry, ...]:
    """Return the entries of a config with lines that the file of a site replaces."""
    options = _options_by_name(conf)
    managed = foreign_blocks(content)
    entries: list[ReplacedEntry] = []
    for host, settings in host_blocks(content):
        # A name that is not the site's still needs the lines.
        if not options.keys() >= set(host.arguments) or is_inside(managed, host.start):
            continue
        options_of_names = [options[name] for name in host.arguments if not name.startswith("!")]
        replaced: list[Line] = []
        kept: list[Line] = []
        for line in settings:
            if all(_replaces(of_name, line) for of_name in options_of_names):
                replaced.append(line)
            else:
                kept.append(line)
        if replaced:
            entries.append(ReplacedEntry(host, tuple(replaced), tuple(kept)))
    return tuple(entries)


def _options_by_name(conf: bytes) -> dict[str, _Options]:
    """Return the options of each name and pattern of a site's file, by the text of the name."""
    options: dict[str, dict[str, frozenset[str]]] = {}
    for host, settings in host_blocks(conf):
        for name in host.arguments:
            of_name = options.setdefault(name, {})
            for line in settings:
                of_name[line.keyword] = of_name.get(line.keyword, frozenset()) | {_value(line)}
    return dict(options)


def _value(line: Line) -> str:
    return os.path.expanduser(" ".join(line.arguments))  # noqa: PTH111 - not only paths


def _replaces(options: _Options, line: Line) -> bool:
    if line.keyword in CUMULATIVE:
        return _value(line) in options.get(line.keyword, ())
    if line.keyword in _ROUTES:
        return not _ROUTES.isdisjoint(options)
    return line.keyword in options


def take_over(content: bytes, entries: Iterable[ReplacedEntry], site: str) -> bytes:
    """Return a config in which the replaced lines are comments."""
    starts: set[int] = set()
    for entry in entries:
        starts.update(line.start for line in entry.comments)
    return comment_out(content, starts, site)


def comment_out(content: bytes, starts: Collection[int], site: str) -> bytes:
    """Return a config in which the lines that start at some offsets are comments for a site."""
    comment = _COMMENT.format(site).encode()
    result = b""
    for _, start, line in numbered(content):
        result += comment + line if start in starts else line
    return result


def give_back(content: bytes, sites: Collection[str] | None = None) -> bytes:
    """Return a config in which the lines that some sites replaced, or all, are active again."""
    result = b""
    for _, _, line in numbered(content):
        match = _COMMENTED.match(line)
        is_restored = match and (sites is None or match[1].decode() in sites)
        result += line[match.end() :] if match and is_restored else line
    return result
