"""Read the files of an ssh configuration, and write copies of them for `ssh -F`."""

import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from generator.errors import GenError, os_errors_named
from generator.files import is_regular, read_regular
from generator.paths import SSH_CONFIG
from generator.ssh.config_lines import Line, lines
from generator.ssh.renewal_command import RENEWAL_COMMAND

# Bounds of memory and time, beyond any real configuration. A file counts as often as it is
# included: 20 files that include the next one twice are a million to read.
_MOST_LINES = 40_000
_MOST_FILES = 1_000
_MOST_BYTES = 1024 * 1024
_LONGEST_LINE = 64 * 1024
# ssh refuses more levels of Include (readconf.c, READCONF_MAX_DEPTH).
_DEPTH = 16
# Tokens, variables of the environment, and escapes; which of them ssh expands depends on its
# version.
_ONLY_SSH = re.compile(r"%|\$\{|\\")
_TOKEN = re.compile(r"%.")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True)
class Files:
    """The user's configuration and the system's, as they are or would be."""

    home: Path
    overlay: Mapping[Path, bytes | None] = field(default_factory=dict)
    """Content that replaces that of a file, by absolute path; ``None`` for a deleted file."""
    system: Path = Path("/etc/ssh/ssh_config")

    def content(self, path: Path) -> bytes | None:
        """Return the content of a file; ``None`` if it does not exist."""
        if path in self.overlay:
            return self.overlay[path]
        if not is_regular(path):
            return None
        with os_errors_named(path):
            return read_regular(path)

    def included(self, argument: str, anchor: Path) -> list[Path] | None:
        """Return the files that an argument of Include stands for, in ssh's order.

        ``None`` if only ssh can expand it.

        Relative paths are in ~/.ssh, or in /etc/ssh for the system's files (ssh_config(5),
        Include). The home directory is the one of this object, whatever the passwd database says.
        """
        if _ONLY_SSH.search(argument):
            return None
        path = re.sub(r"^~(?=/|$)", lambda _: str(self.home), argument)
        # Path.expanduser would raise for an unknown user, and Path.glob takes no absolute pattern.
        pattern = str(anchor / os.path.expanduser(path))  # noqa: PTH111
        existing = {Path(name) for name in glob.glob(pattern)}  # noqa: PTH207
        planned = {path for path in self.overlay if PurePosixPath(path).match(pattern)}
        return sorted(existing | planned)

    def named(self, argument: str) -> list[Path]:
        """Return the files that the path of a key or of known_hosts may stand for.

        A token differs from host to host (ssh_config(5), TOKENS), so it may stand for anything.
        """
        text = _VARIABLE.sub(lambda variable: os.environ.get(variable[1], variable[0]), argument)
        text = re.sub(r"^(?:~|%d)(?=/)", lambda _: str(self.home), text)
        text = os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser fails for an unknown user
        parts = _TOKEN.split(text)
        if len(parts) == 1:
            return [self.home / text]  # an absolute path stays as it is
        pattern = str(self.home / "*".join(map(glob.escape, parts)))
        return sorted(map(Path, glob.glob(pattern)))  # noqa: PTH207

    def name(self, path: Path) -> str:
        """Return a path as users write it."""
        return f"~/{path.relative_to(self.home)}" if path.is_relative_to(self.home) else str(path)


@dataclass(frozen=True)
class ConfigFile:
    """A file of the configuration, with the files that it includes."""

    name: str
    """Its path as users write it."""
    content: bytes
    lines: tuple[Line, ...]
    included: Mapping[int, tuple["ConfigFile", ...]]
    """The files behind the Include at a line, by the number of the line.

    A line that leads in a circle, or that only ssh can expand, has no entry.
    """


@dataclass(frozen=True)
class Configuration:
    """The files that ssh reads: first the user's, then the system's."""

    user: ConfigFile
    system: ConfigFile

    @property
    def files(self) -> tuple[ConfigFile, ConfigFile]:
        """Both files, in ssh's order."""
        return self.user, self.system


def read_configuration(files: Files) -> Configuration:
    """Return the configuration with all included files."""
    reader = _Reader(files)
    user = files.home / SSH_CONFIG
    return Configuration(
        user=reader.read(user, user.parent),
        system=reader.read(files.system, files.system.parent),
    )


@dataclass
class _Reader:
    """Reads the files of a configuration, up to a limit for all of them together."""

    files: Files
    file_count: int = 0
    line_count: int = 0
    size: int = 0

    def read(self, path: Path, anchor: Path, including: tuple[Path, ...] = ()) -> ConfigFile:
        """Return a file with the files that it includes."""
        content = self.files.content(path) or b""
        chain = (*including, path)
        self._count(chain[0], content)
        config_lines = _parsed(content)
        included: dict[int, tuple[ConfigFile, ...]] = {}
        for line in config_lines:
            if line.keyword != "include" or len(chain) > _DEPTH:
                continue
            targets = _targets(self.files, line, anchor)
            if targets is not None and not set(targets).intersection(chain):
                included[line.number] = tuple(self.read(to, anchor, chain) for to in targets)
        return ConfigFile(self.files.name(path), content, config_lines, included)

    def _count(self, outermost: Path, content: bytes) -> None:
        self.file_count += 1
        self.line_count += content.count(b"\n")
        self.size += len(content)
        longest = 0
        if len(content) > _LONGEST_LINE:
            longest = max(map(len, content.split(b"\n")))
        if (
            self.file_count > _MOST_FILES
            or self.line_count > _MOST_LINES
            or self.size > _MOST_BYTES
            or longest > _LONGEST_LINE
        ):
            raise GenError(
                f"{self.files.name(outermost)}: is too long for gen to check: with the files that "
                f"it includes, it has more than {_MOST_LINES} lines, {_MOST_FILES} files or "
                f"{_MOST_BYTES // 1024} KiB, or a line of more than {_LONGEST_LINE // 1024} KiB; "
                "shorten it, or add the lines of a site yourself: gen install SITE --mode print"
            )


@lru_cache(maxsize=32)
def _parsed(content: bytes) -> tuple[Line, ...]:
    """Return the lines of a file; an installation reads the same files several times."""
    return tuple(lines(content))


def _targets(files: Files, line: Line, anchor: Path) -> list[Path] | None:
    """Return the files behind an Include line; ``None`` if only ssh can expand it."""
    targets: list[Path] = []
    for argument in line.arguments:
        expanded = files.included(argument, anchor)
        if expanded is None:
            return None
        for path in expanded:
            if files.content(path) is not None:
                targets.append(path)
    return targets


def walk(file: ConfigFile) -> Iterator[tuple[str, Line]]:
    """Yield each line with the name of its file, in ssh's order.

    The lines of the included files replace an Include.
    """
    for line in file.lines:
        if line.number in file.included:
            for included in file.included[line.number]:
                yield from walk(included)
        else:
            yield file.name, line


def write_copies(configuration: Configuration, directory: Path) -> tuple[Path, dict[str, str]]:
    """Write copies that ssh reads with `-F` as it would read the files themselves.

    Returns the path of the first copy to read, and for each copy the name of its file, in the
    order in which they are written. The line numbers are the same.
    """
    copies: dict[str, str] = {}
    user = _write_copy(configuration.user, directory, copies)
    system = _write_copy(configuration.system, directory, copies)
    # With -F, ssh does not read the system's files. It reads them after the user's, for every host.
    with user.open("ab") as file:
        file.write(f'\nMatch all\nInclude "{system}"\n'.encode())
    return user, copies


def _write_copy(source: ConfigFile, directory: Path, copies: dict[str, str]) -> Path:
    path = directory / f"{len(copies)}.conf"
    copies[str(path)] = source.name
    content = b""
    end = 0
    for line in source.lines:
        if line.number in source.included:
            inner = [_write_copy(file, directory, copies) for file in source.included[line.number]]
            replacement = _include(inner)
        elif line.keyword == "match" and RENEWAL_COMMAND in line.value:
            # A question to ssh must not run a command of a site: the user may not have agreed yet.
            replacement = b"Match !all"
        else:
            continue
        content += source.content[end : line.start] + replacement + b"\n"
        end = line.end
    path.write_bytes(content + source.content[end:])
    # ssh refuses an included file that other users can write, as with the umask 002.
    path.chmod(0o600)
    return path


def _include(paths: list[Path]) -> bytes:
    if not paths:
        return b""  # ssh refuses an Include without an argument
    return b"Include " + b" ".join(f'"{path}"'.encode() for path in paths)
