"""The files that ssh reads its configuration from, as they are or would be, and copies of them to ask ssh by."""

import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from generator.errors import os_errors_named
from generator.paths import SSH_CONFIG
from generator.ssh.config_lines import Line, lines

_TOP = b"\nMatch all\n"
RENEWAL_COMMAND = "gen refresh $0 --on-connect"
"""The command in our own `Match exec`: whoever asks ssh a question leaves that line out."""


@dataclass(frozen=True)
class Files:
    """The user's configuration and the system's; what the overlay names is so, whatever is on the disk."""

    home: Path
    overlay: Mapping[Path, bytes | None] = field(default_factory=dict)
    """Content of files by absolute path; ``None`` for a file that is to be gone."""
    system: Path = Path("/etc/ssh/ssh_config")

    def content(self, path: Path) -> bytes | None:
        """Return what a file holds, ``None`` where there is none.

        Raises:
            GenError: it cannot be read; ssh would end with it too.
        """
        if path in self.overlay:
            return self.overlay[path]
        with os_errors_named(path):
            return path.read_bytes() if path.is_file() else None

    def included(self, argument: str, anchor: Path) -> list[Path] | None:
        """Return what an argument of Include stands for, in ssh's order; ``None`` where only ssh can tell.

        Relative paths are in ~/.ssh, or in /etc/ssh for the system's files (ssh_config(5), Include). The home folder
        is the one that was given, whatever the passwd database says.
        """
        if any(special in argument for special in ("%", "${", "\\")):
            return None
        home = re.sub(r"^~(?=/|$)", lambda _: str(self.home), argument)
        pattern = str(anchor / os.path.expanduser(home))  # noqa: PTH111 - Path raises for a user that there is not
        there = {Path(name) for name in glob.glob(pattern)}  # noqa: PTH207 - the pattern is absolute
        there |= {path for path in self.overlay if PurePosixPath(path).match(pattern)}
        return sorted(there)

    def name(self, path: Path) -> str:
        """Return a path as a person writes it."""
        return f"~/{path.relative_to(self.home)}" if path.is_relative_to(self.home) else str(path)


@dataclass(frozen=True)
class Source:
    """A file of the configuration with those that it includes."""

    name: str
    """Its path as a person writes it."""
    content: bytes
    lines: tuple[Line, ...]
    included: Mapping[int, tuple["Source", ...]]
    """What the Include at a line leads to; none is known of one that leads in a circle, or that only ssh expands."""


def sources(files: Files) -> tuple[Source, Source]:
    """Return the user's configuration and the system's.

    Raises:
        GenError: a file cannot be read.
    """
    user = files.home / SSH_CONFIG
    return _source(files, user, user.parent), _source(files, files.system, files.system.parent)


def _source(files: Files, path: Path, anchor: Path, above: tuple[Path, ...] = ()) -> Source:
    content = files.content(path) or b""
    read = tuple(lines(content))
    included = {}
    for line in read:
        if line.keyword == "include":
            found = [files.included(argument, anchor) for argument in line.arguments]
            paths = [
                inner
                for several in found
                for inner in several or ()
                if files.content(inner) is not None
            ]
            if None not in found and not {path, *above}.intersection(paths):
                inside = (_source(files, inner, anchor, (*above, path)) for inner in paths)
                included[line.number] = tuple(inside)
    return Source(files.name(path), content, read, included)


def walk(source: Source) -> Iterator[tuple[str, Line]]:
    """Yield name of the file and line, in ssh's order: what is included comes in place of its Include."""
    for line in source.lines:
        if line.number in source.included:
            for inner in source.included[line.number]:
                yield from walk(inner)
        else:
            yield source.name, line


def copy(both: tuple[Source, Source], folder: Path) -> tuple[Path, dict[str, str]]:
    """Write copies that ssh reads with `-F` as it would read the files themselves.

    Returns the copy to begin with, and the name of the file that each copy is of, in the order of
    their writing. The line numbers are the same.
    """
    copies: dict[str, str] = {}
    user, system = (_copy(source, folder, copies) for source in both)
    with user.open("ab") as file:
        file.write(_TOP + f'Include "{system}"\n'.encode())
    return user, copies


def _copy(source: Source, folder: Path, copies: dict[str, str]) -> Path:
    place = folder / f"{len(copies)}.conf"
    copies[str(place)] = source.name
    result = b""
    copied = 0
    for line in source.lines:
        inner = source.included.get(line.number)
        if inner is not None:
            names = [_copy(one, folder, copies) for one in inner]
            instead = (
                b"Include " + " ".join(f'"{name}"' for name in names).encode() if names else b""
            )
        elif line.keyword == "match" and RENEWAL_COMMAND in line.value:
            # A question to ssh must not run a command of a site: the user may not have agreed yet.
            instead = b"Match !all"
        else:
            continue
        result += source.content[copied : line.start] + instead + b"\n"
        copied = line.end
    place.write_bytes(result + source.content[copied:])
    return place
