"""Changes made to files: the only module that writes any."""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from generator.compiler.digests import digest
from generator.errors import GenError, os_errors_named
from generator.paths import OUTPUT_BACKUPS
from generator.workspace.plan import Action, Actual, Change
from generator.workspace.reader import real

_PATIENCE = 60  # seconds: nobody holds a lock while a person is asked


def apply(
    root: Path, changes: Iterable[Change], lock: PurePosixPath, record: bytes | None
) -> list[PurePosixPath]:
    """Make the changes, then write the lock, or take it away when there is no site any more.

    Returns the backups of what somebody else had written.

    Each file is replaced as a whole, its mode set before its content; a crash leaves the old or the new one, and the
    next run goes on from there.

    Raises:
        GenError: a file cannot be written.
    """
    _refuse_unwritable(real(root, lock).parent)
    backups = carry_out(root, changes)
    with os_errors_named(root / lock):
        if record is None:
            (root / lock).unlink(missing_ok=True)
        else:
            _write(root, real(root, lock), record, 0o644)
    return backups


def carry_out(root: Path, changes: Iterable[Change], *, fenced: bool = True) -> list[PurePosixPath]:
    """Make the changes in their order, and return the backups of what somebody else had written.

    In a home folder a link may lead out of it: not `fenced`.

    Raises:
        GenError: a file cannot be written; of one that could be told beforehand, nothing is.
    """
    changes = [change for change in changes if change.action is not Action.KEEP]
    for change in changes:
        _refuse_unwritable(real(root, change.path, fenced=fenced).parent)
    backups = []
    for change in changes:
        place = real(root, change.path, fenced=fenced)
        with os_errors_named(root / change.path):
            if change.conflict and change.actual:
                backups.append(_keep(root, change.path, change.actual))
            if change.action in (Action.CREATE, Action.UPDATE) and change.artifact:
                _write(root, place, change.artifact.content, change.artifact.mode)
            elif change.action is Action.CHMOD and change.artifact:
                place.chmod(change.artifact.mode)
            elif change.action is Action.DELETE:
                (root / change.path).unlink(missing_ok=True)
    return backups


def _refuse_unwritable(folder: Path) -> None:
    """Refuse, before the first write, a folder that cannot be written to or made: half of the files would be new."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise GenError(f"{there}: is a file, where a folder has to be; move it away")
    if not os.access(there, os.W_OK | os.X_OK):
        raise GenError(f"{there}: permission denied")


def _keep(root: Path, path: PurePosixPath, found: Actual) -> PurePosixPath:
    """Put a copy aside, where git does not see it: people write secrets into files."""
    copy = OUTPUT_BACKUPS / path.parent / f"{path.name}.{digest(found.content)[:8]}"
    _write(root, real(root, OUTPUT_BACKUPS / ".gitignore"), b"*\n", 0o644)
    _write(root, real(root, copy), found.content, 0o600)
    return copy


def _write(root: Path, place: Path, content: bytes, mode: int) -> None:
    if place.is_file() and place.read_bytes() == content and place.stat().st_mode & 0o7777 == mode:
        return
    _make_folders(root.resolve(), place.parent)
    replace(place, content, mode)


def replace(path: Path, content: bytes, mode: int, scratch: Path | None = None) -> None:
    """Put a file in place as a whole, its mode set before its content.

    It is written beside first, under a name of chance, or under one by which the caller finds what a kill left.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    if scratch:
        scratch.unlink(missing_ok=True)
    else:
        scratch = path.parent / f".gen-{os.getpid()}-{os.urandom(8).hex()}.tmp"
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
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have a new name survive a power cut; not every file system can, and the file is whole without it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def clear(folder: Path) -> None:
    """Remove what a run that was killed has left in a folder of its writing."""
    for scratch in folder.glob(".gen-*-*.tmp"):
        number = scratch.name.split("-")[1]
        if number.isdigit() and not _runs(int(number)):
            scratch.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def make(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place, and the folders on the way to it as the umask has them.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, content, mode)


def private(path: Path, content: bytes, mode: int, scratch: Path | None = None) -> None:
    """Put a file in place, in a folder that nobody else looks into where there is none yet.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace(path, content, mode, scratch)


def keep(entry: Path, content: bytes, most: int) -> None:
    """Put a private file into a private folder, which holds so many of its kind; the oldest make room.

    Raises:
        OSError: it cannot be written.
    """
    entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    old = sorted(entry.parent.glob(f"*{entry.suffix}"), key=lambda path: path.stat().st_mtime_ns)
    for path in old[: max(0, len(old) - most + 1)]:
        path.unlink(missing_ok=True)
    replace(entry, content, 0o600)


def _make_folders(root: Path, folder: Path) -> None:
    """Make the folders on the way with a mode that does not depend on the umask."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(exist_ok=True)  # another run may have been sooner
        if missing.is_relative_to(root):
            missing.chmod(0o755)


def make_private(folders: Iterable[Path]) -> None:
    """Make folders, outermost first, that nobody else looks into.

    Raises:
        GenError: one cannot be made.
    """
    for folder in folders:
        with os_errors_named(folder):
            folder.mkdir(mode=0o700, exist_ok=True)


def restrict(path: Path, mode: int) -> None:
    """Set the mode of a file of the person's.

    Raises:
        GenError: it belongs to somebody else.
    """
    with os_errors_named(path):
        path.chmod(mode)


def remove(path: Path) -> None:
    """Remove a file, or a folder if it is empty; a folder that is not stays.

    Raises:
        GenError: it cannot be removed.
    """
    with os_errors_named(path), suppress(FileNotFoundError):
        if not path.is_dir() or path.is_symlink():
            path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()


@contextmanager
def locked(file: Path, seconds: float = _PATIENCE) -> Iterator[None]:
    """Let one process at a time into the block; whoever removes the file in it makes those who wait begin anew.

    Raises:
        GenError: another process has been in it for so long, or the file cannot be made.
    """
    with os_errors_named(file):
        handle = _own(file, seconds)
    try:
        yield
    finally:
        os.close(handle)


def _own(file: Path, seconds: float) -> int:
    end = time.monotonic() + seconds
    while True:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # its folder went meanwhile
        with suppress(FileNotFoundError, BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), file.stat()):
                return handle
        os.close(handle)
        if time.monotonic() > end:
            raise GenError(f"{file}: another gen is still at work; let it end, then run this again")
        time.sleep(0.05)
