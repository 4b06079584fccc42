"""Files as they are, read below one folder and nowhere else."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from generator.errors import GenError, os_errors_named
from generator.paths import HEADER_WITHIN, LOCKS, OUTPUT_STATE, has_header, is_generated_path
from generator.workspace.plan import Actual


def actual(
    root: Path, paths: Iterable[PurePosixPath], *, fenced: bool = True
) -> dict[PurePosixPath, Actual]:
    """Return those of the files below a folder that are there; a link may lead out of it only if not `fenced`.

    Raises:
        GenError: a file cannot be read, is no file, or leads out of the folder.
    """
    found, top = {}, os.path.realpath(root)
    for path in paths:
        place = _real(root, top, path, fenced)
        with (
            os_errors_named(root / path),
            suppress(FileNotFoundError, NotADirectoryError),
            place.open("rb") as file,
        ):
            found[path] = Actual(file.read(), os.fstat(file.fileno()).st_mode & 0o7777)
    return found


def locks(root: Path) -> list[tuple[Path, PurePosixPath]]:
    """Return each folder that was generated into with each lock in it, in order; links to folders are not followed.

    Raises:
        GenError: a folder has a name that would not be one line of a message.
    """
    found = []
    for folder, below, _ in os.walk(root):
        below[:] = sorted(name for name in below if name != ".git")
        if OUTPUT_STATE.name in below:
            found += [(Path(folder), where) for where in _locks(root, Path(folder))]
            below.remove(OUTPUT_STATE.name)
    return sorted(found)


def _locks(root: Path, folder: Path) -> list[PurePosixPath]:
    if not str(folder).isprintable():
        raise GenError(
            f"{str(folder)!r}: its name holds a character that cannot be printed; rename it"
        )
    gen = folder / OUTPUT_STATE
    if not within(gen, root):
        return [OUTPUT_STATE]  # not looked into; whoever reads it is told that it leads out
    return [OUTPUT_STATE / path.name for path in sorted(gen.glob(LOCKS.name))]


def strays(root: Path, known: set[Path]) -> list[Path]:
    """Return the files of ours below a folder that no lock knows of, by their first line."""
    found = []
    for folder, below, files in os.walk(root):
        if "pyvenv.cfg" in files and folder != str(root):  # installed programs
            below.clear()
            continue
        below[:] = sorted(set(below) - {".git", OUTPUT_STATE.name, ".pixi"})
        inner = os.path.basename(folder)  # noqa: PTH119 - a path for each of many files would take longer
        found += [Path(folder, name) for name in sorted(files) if is_generated_path(inner, name)]
    return [path for path in found if path not in known and _is_ours(path)]


def _is_ours(path: Path) -> bool:
    if path.is_symlink():
        return False
    with os_errors_named(path), path.open("rb") as file:
        return has_header(file.read(HEADER_WITHIN))


def real(root: Path, path: PurePosixPath, *, fenced: bool = True) -> Path:
    """Follow links to the real file, which must be below the real folder where that is `fenced`.

    Raises:
        GenError: it is not, or there is none.
    """
    return _real(root, os.path.realpath(root), path, fenced)


def _real(root: Path, top: str, path: PurePosixPath, fenced: bool) -> Path:
    place = Path(os.path.realpath(Path(top, path)))
    if fenced and not place.is_relative_to(top):
        raise GenError(f"{root / path}: is a link that leads out of {root}; remove it")
    if fenced and ".git" in place.relative_to(top).parts:
        raise GenError(f"{root / path}: leads into git's own folder; remove it")
    if place.is_symlink():
        raise GenError(f"{root / path}: is a link that leads to itself; remove it")
    return place


def within(place: Path, root: Path) -> bool:
    """Tell whether a place, links followed, is below a folder; a link to itself is where it stands."""
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(root))
