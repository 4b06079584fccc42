"""Read files below one directory and nowhere else."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from generator import programs
from generator.errors import GenError, os_errors_named
from generator.files import SIZE_LIMIT, open_regular, read_plain
from generator.paths import (
    ACCEPTED_DRIFT,
    HEADER_WITHIN,
    LOCKS,
    OUTPUT_STATE,
    PROJECT_LOCK,
    SOURCES_LOCK,
    has_header,
    is_generated_path,
)
from generator.workspace.plan import Actual

_GIT_SECONDS = 60
_GIT_OUTPUT = 64 * 1024 * 1024


class LockFile(NamedTuple):
    """A lock below a directory: the output directory, and the path of the lock in it."""

    directory: Path
    path: PurePosixPath

    @property
    def full_path(self) -> Path:
        """The path of the lock as a user knows it."""
        return self.directory / self.path


class Survey(NamedTuple):
    """The locks below a directory, and the files that have the name of a generated file."""

    locks: list[LockFile]
    candidates: list[Path]
    accepted: list[Path]
    """The directories with a list of accepted drift."""
    projects: list[Path]
    """The directories with the lock of a Dagster project."""


def actual(
    root: Path, paths: Iterable[PurePosixPath], *, fenced: bool = True
) -> dict[PurePosixPath, Actual]:
    """Return those of some files below a directory that exist.

    gen refuses a link that leads out of the directory, unless `fenced` is false.
    """
    top = os.path.realpath(root)
    real_directories = {"": top}
    files = {}
    for path in paths:
        text = str(path)
        file = _plain_file(text, real_directories)
        if file is None:
            file = _other_file(root, top, path, fenced)
        if file:
            files[path] = file
    return files


def _plain_file(path: str, real_directories: dict[str, str]) -> Actual | None:
    """Return a regular file that no link leads to.

    Everything else needs a closer look, and gives ``None``.
    """
    parent, _, name = path.rpartition("/")
    directory = _plain_directory(parent, real_directories)
    # A file `.git` names the repository of a submodule or a work tree (gitrepository-layout(5)): to
    # write one would redirect git.
    if directory is None or name == ".git":
        return None
    plain = read_plain(f"{directory}/{name}")
    if plain is None:
        return None
    content, mode = plain
    return Actual(content, mode)


def _plain_directory(path: str, real_directories: dict[str, str]) -> str | None:
    """Return the real path of a directory that no link leads to, and remember it.

    realpath(3) looks at every component of every path. That was most of the time of `gen check`.
    """
    if path in real_directories:
        return real_directories[path]
    parent, _, name = path.rpartition("/")
    directory = _plain_directory(parent, real_directories)
    if directory is None or name in ("", "..", ".git"):
        return None
    candidate = f"{directory}/{name}"
    if os.path.islink(candidate):  # noqa: PTH114 - a Path for each of many directories takes longer
        return None
    real_directories[path] = candidate
    return candidate


def _other_file(root: Path, top: str, path: PurePosixPath, fenced: bool) -> Actual | None:
    """Return a file that may be a link; refuse everything that is not a regular file."""
    real_path = _real(root, top, path, fenced)
    with (
        os_errors_named(root / path),
        suppress(FileNotFoundError, NotADirectoryError),
        open_regular(real_path, root / path) as file,
    ):
        content = file.read(SIZE_LIMIT + 1)
        if len(content) > SIZE_LIMIT:
            raise GenError(f"{root / path}: is larger than {SIZE_LIMIT // 1024 // 1024} MiB")
        return Actual(content, os.fstat(file.fileno()).st_mode & 0o7777)
    return None


def survey(root: Path) -> Survey:
    """Walk once through a directory; links to directories are not followed."""
    locks: list[LockFile] = []
    candidates: list[Path] = []
    accepted: list[Path] = []
    projects: list[Path] = []
    # Directories of installed programs: they may hold whole checkouts, but no files of this
    # user's sites.
    installed: set[str] = set()
    for directory, subdirectories, files in walk(root):
        # In place: the walk then skips the removed directories, and has a stable order.
        subdirectories[:] = sorted(name for name in subdirectories if name != ".git")
        if OUTPUT_STATE.name in subdirectories:
            subdirectories.remove(OUTPUT_STATE.name)
            locks += _locks(root, Path(directory))
            if os.path.lexists(f"{directory}/{ACCEPTED_DRIFT}"):
                accepted.append(Path(directory))
            if os.path.lexists(f"{directory}/{PROJECT_LOCK}"):
                projects.append(Path(directory))
        parent, name = os.path.split(directory)
        # A virtual environment has this file at its top (PEP 405); pixi's are below .pixi.
        is_environment = "pyvenv.cfg" in files and directory != str(root)
        # What git tracks is a part of the repository, whatever its name or such a file says.
        is_own = (is_environment or name == ".pixi") and not _is_tracked(directory)
        if is_own or parent in installed:
            installed.add(directory)
            continue
        for file in sorted(files):
            if is_generated_path(name, file):
                candidates.append(Path(directory, file))
    return Survey(sorted(locks), candidates, accepted, projects)


def walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield each directory with the names of its subdirectories and of its files, as os.walk does.

    os.walk fails below a thousand directories, before Python 3.12.
    """
    pending = [str(root)]
    while pending:
        directory = pending.pop()
        subdirectories: list[str] = []
        files: list[str] = []
        # As in os.walk, a directory that cannot be read has nothing in it.
        with suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                names = subdirectories if _is_directory(entry) else files
                names.append(entry.name)
        yield directory, subdirectories, files
        for name in reversed(subdirectories):
            path = os.path.join(directory, name)  # noqa: PTH118 - a Path takes ten times as long
            if not os.path.islink(path):  # noqa: PTH114
                pending.append(path)


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_tracked(directory: str) -> bool:
    """Return whether git tracks a file below a directory."""
    command = ("-C", directory, "ls-files", "-z", "--", ".")
    try:
        outcome = programs.git(command, seconds=_GIT_SECONDS, output_limit=_GIT_OUTPUT)
    except programs.OutputLimitError:
        return True
    except programs.ProgramError:  # without git, nothing says so
        return False
    return outcome.status == 0 and bool(outcome.stdout)


def locks(root: Path) -> list[LockFile]:
    """Return every lock below a directory."""
    return survey(root).locks


def _locks(root: Path, directory: Path) -> list[LockFile]:
    if not str(directory).isprintable():
        raise GenError(
            f"{str(directory)!r}: the name has a character that cannot be printed; rename it"
        )
    state = directory / OUTPUT_STATE
    if not within(state, root):
        # A link out of the root: listed, so that reading it is refused and a user hears of it.
        return [LockFile(directory, OUTPUT_STATE)]
    lock_files: list[LockFile] = []
    for file in state.glob(LOCKS.name):
        if file.name != SOURCES_LOCK.name:
            lock_files.append(LockFile(directory, OUTPUT_STATE / file.name))
    return lock_files


def strays(candidates: Iterable[Path], recorded: set[Path]) -> list[Path]:
    """Return the candidates that gen wrote, by their header, and that no lock records."""
    stray_files: list[Path] = []
    for path in candidates:
        if path not in recorded and _has_header(path):
            stray_files.append(path)
    return stray_files


def _has_header(path: Path) -> bool:
    with os_errors_named(path):
        # A link, FIFO or device is not what gen wrote.
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with open_regular(path) as file:
            return has_header(file.read(HEADER_WITHIN))


def real(root: Path, path: PurePosixPath, *, fenced: bool = True) -> Path:
    """Return the real path of a file.

    If `fenced`, refuse one that is not below the real directory.
    """
    return _real(root, os.path.realpath(root), path, fenced)


def _real(root: Path, top: str, path: PurePosixPath, fenced: bool) -> Path:
    # realpath leaves a link that leads to itself as it is, so the last test below finds it.
    real_path = Path(os.path.realpath(Path(top, path)))
    if fenced and not real_path.is_relative_to(top):
        raise GenError(f"{root / path}: is a link that leads out of {root}; remove it")
    # gen site would write where git reads hooks and settings, which run commands.
    if fenced and ".git" in real_path.relative_to(top).parts:
        raise GenError(f"{root / path}: leads into the .git directory; remove it")
    if real_path.is_symlink():
        raise GenError(f"{root / path}: is a link that leads to itself; remove it")
    return real_path


def within(path: Path, root: Path) -> bool:
    """Return whether a path, links followed, is below a directory."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
