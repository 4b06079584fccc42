"""Files as they are, and changes made to them: the only module that writes."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from generator.errors import GenError
from generator.lock import digest
from generator.plan import Action, Actual, Change

_BACKUP = PurePosixPath(".gen/backup")


def actual(root: Path, paths: Iterable[PurePosixPath]) -> dict[PurePosixPath, Actual]:
    """Return those of the files below a folder that are there.

    Raises:
        GenError: a file cannot be read, is no file, or leads out of the folder.
    """
    found = {}
    for path in paths:
        real = _real(root, path)
        with _told(root / path):
            if real.exists():
                found[path] = Actual(real.read_bytes(), real.stat().st_mode & 0o7777)
    return found


def apply(root: Path, changes: Iterable[Change], lock: PurePosixPath, record: bytes) -> list[PurePosixPath]:
    """Make the changes, then write the lock. Returns the backups of what somebody else had written.

    Each file is replaced as a whole, its mode set before its content; a crash leaves the old or the new one, and the
    next run goes on from there.

    Raises:
        GenError: a file cannot be written.
    """
    backups = []
    for change in changes:
        real = _real(root, change.path)
        with _told(root / change.path):
            if change.conflict and change.actual:
                backups.append(_keep(root, change.path, change.actual))
            if change.action in (Action.CREATE, Action.UPDATE) and change.artifact:
                _write(root, real, change.artifact.content, change.artifact.mode)
            elif change.action is Action.CHMOD and change.artifact:
                real.chmod(change.artifact.mode)
            elif change.action is Action.DELETE:
                (root / change.path).unlink(missing_ok=True)
    with _told(root / lock):
        _write(root, _real(root, lock), record, 0o644)
    return backups


def _keep(root: Path, path: PurePosixPath, found: Actual) -> PurePosixPath:
    """Put a copy aside, where git does not see it: people write secrets into files."""
    copy = _BACKUP / path.parent / f"{path.name}.{digest(found.content)[:8]}"
    _write(root, _real(root, _BACKUP / ".gitignore"), b"*\n", 0o644)
    _write(root, _real(root, copy), found.content, 0o600)
    return copy


def _real(root: Path, path: PurePosixPath) -> Path:
    """Follow links to the real file, which must be below the real folder."""
    real = (root / path).resolve()
    if not real.is_relative_to(root.resolve()):
        raise GenError(f"{root / path}: is a link that leads out of {root}; remove it")
    return real


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GenError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def _write(root: Path, real: Path, content: bytes, mode: int) -> None:
    if real.is_file() and real.read_bytes() == content and real.stat().st_mode & 0o7777 == mode:
        return
    _make_folders(root.resolve(), real.parent)
    replace(real, content, mode)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place as a whole, its mode set before its content.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    scratch = path.parent / f".{path.name}.{os.getpid()}.tmp"
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _make_folders(root: Path, folder: Path) -> None:
    """Make the folders on the way with a mode that does not depend on the umask."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir()
        if missing.is_relative_to(root):
            missing.chmod(0o755)
