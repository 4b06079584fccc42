"""Write files: the only module that changes any file of the user."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from generator.compiler.digests import digest
from generator.errors import GenError, os_errors_named
from generator.files import is_regular
from generator.paths import OUTPUT_BACKUPS
from generator.workspace.plan import Action, Actual, Change, pending_changes
from generator.workspace.reader import real

# gen holds no lock while it asks the user, so a longer wait means that another gen hangs.
_LOCK_SECONDS = 60
_POLL_SECONDS = 0.05


def apply(
    root: Path, changes: Iterable[Change], lock: PurePosixPath, content: bytes | None
) -> list[PurePosixPath]:
    """Make the changes, then write the lock; without a content, delete the lock.

    Return the paths of the backups.

    A backup holds the text of a user. Each file is replaced as a whole. After a crash, each
    file is the old or the new one, and the next run completes the rest.
    """
    lock_path = real(root, lock)
    _refuse_unwritable(lock_path)
    backups = carry_out(root, changes)
    with os_errors_named(root / lock):
        if content is None:
            (root / lock).unlink(missing_ok=True)
        else:
            _write(root, lock_path, content, 0o644)
    return backups


def carry_out(root: Path, changes: Iterable[Change], *, fenced: bool = True) -> list[PurePosixPath]:
    """Make the changes in their order, and return the paths of the backups of users' files.

    In a home directory a link may lead out of it: not `fenced`. If one file is unwritable,
    nothing is written.
    """
    pending = pending_changes(changes)
    for change in pending:
        _refuse_unwritable(real(root, change.path, fenced=fenced))
    backups = []
    for change in pending:
        path = real(root, change.path, fenced=fenced)
        with os_errors_named(root / change.path):
            if change.conflict and change.actual:
                backups.append(_back_up(root, change.path, change.actual))
            _carry_out(root, path, change)
    return backups


def _carry_out(root: Path, path: Path, change: Change) -> None:
    match change.action, change.artifact:
        case Action.DELETE, _:
            # The file itself, which may be a link, and not the file that it leads to.
            (root / change.path).unlink(missing_ok=True)
        case Action.CHMOD, artifact if artifact:
            path.chmod(artifact.mode)
        case _, artifact if artifact:
            _write(root, path, artifact.content, artifact.mode)


def _refuse_unwritable(path: Path) -> None:
    """Refuse, before the first write, a file that cannot be written.

    Later, half of the files would be new.
    """
    is_regular(path)  # refuses a FIFO, socket or device
    # The parents that are missing will be made in this one.
    directory = next(parent for parent in path.parents if parent.exists())
    if not directory.is_dir():
        raise GenError(f"{directory}: is a file, but gen needs a directory here; move it away")
    # To replace a file takes the permission of its directory, not of the file (rename(2)).
    if not os.access(directory, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(directory).f_flag & os.ST_RDONLY
        reason = "read-only file system" if is_read_only else "permission denied"
        raise GenError(f"{directory}: {reason}")


def _back_up(root: Path, path: PurePosixPath, actual: Actual) -> PurePosixPath:
    """Copy a file to where git does not see it: users write secrets into files."""
    # Named by its content: a second run does not overwrite the backup of the first.
    backup = OUTPUT_BACKUPS / path.parent / f"{path.name}.{digest(actual.content)[:8]}"
    # Before the backup: `git add` in another terminal must never see it.
    _write(root, real(root, OUTPUT_BACKUPS / ".gitignore"), b"*\n", 0o644)
    _write(root, real(root, backup), actual.content, 0o600)
    return backup


def _write(root: Path, path: Path, content: bytes, mode: int) -> None:
    if _is_as(path, content, mode):
        return
    _make_directories(root.resolve(), path.parent)
    replace(path, content, mode)


def _is_as(path: Path, content: bytes, mode: int) -> bool:
    if not path.is_file():
        return False
    status = path.stat()
    # Without the size, a huge file would be read.
    if status.st_size != len(content) or status.st_mode & 0o7777 != mode:
        return False
    return path.read_bytes() == content


def replace(path: Path, content: bytes, mode: int, scratch: Path | None = None) -> None:
    """Replace a file as a whole. Its mode is set before its content.

    The content goes to a scratch file in the same directory first: with a random name, or with
    a name by which the caller finds it after a crash.

    Raises:
        OSError: the file cannot be written; its old content is still there.
    """
    if scratch:
        scratch.unlink(missing_ok=True)
    else:
        # In the same directory, since rename(2) works only within one file system.
        scratch = _scratch(path.parent)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            # Before the mode: fchown(2) clears the set-user-ID and set-group-ID bits.
            _copy_attributes(path, file.fileno())
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            # Without it, a power cut after the rename can leave an empty file (ext4 and XFS write
            # names before content).
            os.fsync(file.fileno())
        scratch.replace(path)
    # Also for KeyboardInterrupt: the scratch file may hold a key.
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _copy_attributes(path: Path, descriptor: int) -> None:
    """Give a new file the group and the extended attributes (ACLs too) of the one that it replaces.

    Users may not set every group and attribute. Refusals of the system are ignored.
    """
    try:
        status = path.stat()
    except OSError:
        return
    if status.st_gid != os.fstat(descriptor).st_gid:
        with suppress(OSError):
            os.fchown(descriptor, -1, status.st_gid)
    if not hasattr(os, "listxattr"):  # Python has these functions on Linux alone
        return
    with suppress(OSError):
        for name in os.listxattr(path):
            with suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(path, name))


def _sync_directory(directory: Path) -> None:
    """Have a new name survive a power cut.

    Not every file system can do that, and the file is whole without it.
    """
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_scratch_files(directory: Path) -> None:
    """Remove the scratch files that a killed run of gen left in a directory."""
    for scratch in directory.glob(".gen-*-*.tmp"):
        process = scratch.name.split("-")[1]
        if process.isdigit() and not _is_running(int(process)):
            if scratch.is_dir() and not scratch.is_symlink():
                shutil.rmtree(scratch)
            else:
                scratch.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        # Signal 0 sends nothing and reports whether the process exists (kill(2)).
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        pass
    return True


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file, and make its missing parent directories as the umask has them.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, content, mode)


def write_private(path: Path, content: bytes, mode: int, scratch: Path | None = None) -> None:
    """Write a file, and make its missing parent directories for the user alone.

    Raises:
        OSError: the file cannot be written.
    """
    _make_private(path.parent)
    replace(path, content, mode, scratch)


def create(path: Path, content: bytes) -> bool:
    """Create a private file with its whole content, and return whether none was there.

    Of several processes and machines one succeeds (link(2): also on NFS).

    Raises:
        OSError: the directory cannot be written.
    """
    _make_private(path.parent)
    scratch = _scratch(path.parent)
    write_private(scratch, content, 0o600)
    try:
        _link(path, scratch)
    except FileExistsError:
        return False
    finally:
        scratch.unlink()
    return True


def take(path: Path, content: bytes) -> None:
    """Remove a file if it still has a content: another machine may have replaced it since.

    Raises:
        OSError: the directory cannot be written.
    """
    # A rename, because of several machines one succeeds, and because the file can be put back.
    scratch = _scratch(path.parent)
    with suppress(FileNotFoundError):
        path.rename(scratch)
        if scratch.read_bytes() != content:
            with suppress(FileExistsError):
                _link(path, scratch)
        scratch.unlink()


def _link(path: Path, scratch: Path) -> None:
    """Give a scratch file a second name, which must be free."""
    try:
        path.hardlink_to(scratch)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems have no hard links (link(2), EPERM). Then the content comes a moment
        # after the file.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(scratch.read_bytes())


def write_backup(path: Path, content: bytes, most: int) -> None:
    """Write a private file, and rotate its predecessors.

    Remove the oldest files with the same suffix, so that at most so many are there.

    Raises:
        OSError: the file cannot be written.
    """
    _make_private(path.parent)
    backups = list(path.parent.glob(f"*{path.suffix}"))
    # By time and not by name, since the names begin with digests.
    backups.sort(key=lambda backup: backup.stat().st_mtime_ns)
    surplus = max(0, len(backups) - most + 1)
    for backup in backups[:surplus]:
        backup.unlink(missing_ok=True)
    replace(path, content, 0o600)


def _make_directories(root: Path, directory: Path) -> None:
    """Make missing directories with a mode that does not depend on the umask."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)  # another run may have made it
        if path.is_relative_to(root):
            # mkdir(2) applies the umask.
            path.chmod(0o755)


def make_private_directories(directories: Iterable[Path]) -> None:
    """Make directories for the user alone; the outermost comes first."""
    for directory in directories:
        with os_errors_named(directory):
            _make_private(directory)


def _make_private(directory: Path) -> None:
    """Make a directory and its missing parents with mode 0700, whatever the umask.

    `Path.mkdir` gives the parents the mode that the umask leaves, which may let others write.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:  # another run has made it
            continue
        path.chmod(0o700)
    if not directory.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))


def create_directory(directory: Path, file: Path, content: bytes) -> None:
    """Create a private directory with one file in it, whole or not at all.

    `file` is relative to the directory. Another process may create the directory first: then it
    stays as that process made it.

    Raises:
        OSError: the directory cannot be written.
    """
    _make_private(directory.parent)
    scratch = _scratch(directory.parent)
    try:
        write_private(scratch / file, content, 0o600)
        scratch.rename(directory)
    except BaseException as error:
        shutil.rmtree(scratch, ignore_errors=True)
        if not directory.is_dir() or not isinstance(error, OSError):
            raise
    _sync_directory(directory.parent)


def _scratch(directory: Path) -> Path:
    """Return a path for a scratch file or directory, which names the process that writes it."""
    return directory / f".gen-{os.getpid()}-{os.urandom(8).hex()}.tmp"


def set_mode(path: Path, mode: int) -> None:
    """Set the mode of a file of the user."""
    with os_errors_named(path):
        path.chmod(mode)


def remove(path: Path) -> None:
    """Remove a file or an empty directory; leave a directory with content."""
    with os_errors_named(path), suppress(FileNotFoundError):
        if not path.is_dir() or path.is_symlink():
            path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()


def link(path: Path, target: str) -> None:
    """Make a symbolic link, and its directory for the user alone; replace a link that is there."""
    with os_errors_named(path):
        _make_private(path.parent)
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def remove_at_once(directory: Path) -> None:
    """Remove a directory with everything in it: after a kill, it is whole or it is gone.

    The files that a killed run leaves have names of scratch files.
    """
    scratch = _scratch(directory.parent)
    with os_errors_named(directory):
        directory.rename(scratch)
        shutil.rmtree(scratch)


def remove_directory(directory: Path) -> None:
    """Remove a directory of gen with everything in it."""
    with os_errors_named(directory):
        shutil.rmtree(directory)


@contextmanager
def locked(
    file: Path, seconds: float = _LOCK_SECONDS, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Let one process at a time into the block; wait `seconds` for another one to leave it.

    `waiting` is called once if there is another one. The block may remove the file: then the
    processes that wait for it start with a new one.
    """
    with os_errors_named(file):
        descriptor = _lock(file, seconds, waiting)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(file: Path, seconds: float, waiting: Callable[[], None]) -> int:
    deadline = time.monotonic() + seconds
    is_reported = False
    while True:
        is_regular(file)  # refuses a FIFO, socket or device
        try:
            _make_private(file.parent)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except FileNotFoundError:
            continue  # another process has just removed the directory
        with suppress(FileNotFoundError, BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Without this, we would hold a lock on a file that another process has removed.
            if os.path.samestat(os.fstat(descriptor), file.stat()):
                return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise GenError(f"{file}: another gen is still running; wait for it, then try again")
        if not is_reported:
            is_reported = True
            waiting()
        time.sleep(_POLL_SECONDS)
