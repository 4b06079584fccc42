"""The lines of an ssh configuration that apply to a name, read from the output of `ssh -vvv -G`.

ssh prints file and line of each Host block that applies, and the result of each criterion of a
Match line (readconf.c, OpenSSH 7.3 to 10). So ssh itself decides about every pattern and command.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from generator.ssh.config_files import ConfigFile, Configuration
from generator.ssh.config_lines import Line

_HOST = re.compile(r"debug1: (.+) line (\d+): Applying options for ")
_MATCH = re.compile(r"debug3: (.+) line (\d+): (not )?matched '")
# ssh reads its files twice for a `Match final` and for canonical host names. The first value of an
# option wins, also between the two readings.
_SECOND_READING = re.compile(r"^debug1: re-parsing configuration", re.MULTILINE)

Location = tuple[str, int]


@dataclass(frozen=True)
class AppliedLine:
    """A line that applies to a name, with its file as users write it."""

    file: str
    line: Line
    content: bytes = field(repr=False)
    """Content of the whole file."""

    @property
    def location(self) -> str:
        """File and line, as in `~/.ssh/config:3`."""
        return f"{self.file}:{self.line.number}"


@dataclass
class _Reading:
    """What ssh printed in one reading of its files, by file and line."""

    hosts: set[Location] = field(default_factory=set)
    matches: dict[Location, bool] = field(default_factory=dict)


def applied_lines(
    configuration: Configuration, copies: Mapping[str, str], trace: str
) -> list[AppliedLine]:
    """Return the lines that apply, in the order in which ssh reads them.

    `copies` are the files that ssh read instead, in the order of their writing.
    """
    applied: list[AppliedLine] = []
    for text in _SECOND_READING.split(trace):
        reading = _reading(text)
        copy_paths = iter(copies)
        for source in configuration.files:
            applied += _applied(source, reading, copy_paths, is_active=True)
    return applied


def _reading(trace: str) -> _Reading:
    reading = _Reading()
    for text in trace.splitlines():
        if host := _HOST.match(text):
            reading.hosts.add((host[1], int(host[2])))
        elif match := _MATCH.match(text):
            location = (match[1], int(match[2]))
            # All criteria of a line must match.
            reading.matches[location] = reading.matches.get(location, True) and not match[3]
    return reading


def _applied(
    source: ConfigFile, reading: _Reading, copy_paths: Iterator[str], *, is_active: bool
) -> Iterator[AppliedLine]:
    """Yield the applied lines of a file and of those that it includes.

    A block in a file that is included where nothing applies never applies itself (readconf.c,
    SSHCONF_NEVERMATCH).
    """
    path = next(copy_paths)
    is_reachable = is_active
    for line in source.lines:
        location = (path, line.number)
        if line.keyword == "host":
            is_active = is_reachable and location in reading.hosts
        elif line.keyword == "match":
            # For `Match all`, ssh prints no line number.
            always = line.arguments == ("all",)
            is_active = is_reachable and (always or reading.matches.get(location, False))
        elif line.number in source.included:
            for included in source.included[line.number]:
                yield from _applied(included, reading, copy_paths, is_active=is_active)
        elif is_active:
            yield AppliedLine(source.name, line, source.content)
