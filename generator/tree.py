"""Files as they are, read below one folder and nowhere else."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from generator.errors import GenError
from generator.plan import Actual


def actual(root: Path, paths: Iterable[PurePosixPath]) -> dict[PurePosixPath, Actual]:
    """Return those of the files below a folder that are there.

    Raises:
        GenError: a file cannot be read, is no file, or leads out of the folder.
    """
    found = {}
    for path in paths:
        place = real(root, path)
        with told(root / path):
            if place.exists():
                found[path] = Actual(place.read_bytes(), place.stat().st_mode & 0o7777)
    return found


def locks(root: Path) -> list[tuple[Path, PurePosixPath]]:
    """Return each folder that was generated into with each lock in it, in order; links to folders are not followed."""
    found = []
    for folder, below, _ in os.walk(root):
        below[:] = sorted(name for name in below if name != ".git")
        if ".gen" in below:
            names = sorted(path.name for path in Path(folder, ".gen").glob("*.lock"))
            found += [(Path(folder), PurePosixPath(".gen", name)) for name in names]
            below.remove(".gen")
    return sorted(found)


def real(root: Path, path: PurePosixPath) -> Path:
    """Follow links to the real file, which must be below the real folder.

    Raises:
        GenError: it is not.
    """
    place = (root / path).resolve()
    if not place.is_relative_to(root.resolve()):
        raise GenError(f"{root / path}: is a link that leads out of {root}; remove it")
    return place


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Tell a person what the system refused, and of which file.

    Raises:
        GenError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise GenError(f"{path}: {(error.strerror or str(error)).lower()}") from None
