"""Read files that a user, a checkout or another program may have put there.

Only regular files are read, and files with private contents only if no other user can write them.
"""

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from generator.errors import GenError, os_errors_named

SIZE_LIMIT = 16 * 1024 * 1024
KEY_LIMIT = 64 * 1024
"""Largest key or certificate: ssh itself reads no line of more than 64 KiB."""
# Without O_NONBLOCK, to open a FIFO waits for a writer, and the check would come too late
# (fifo(7)).
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def open_regular(path: Path, name: Path | None = None) -> Iterator[BinaryIO]:
    """Open a regular file to read it, and refuse a FIFO, socket or device.

    To read one of those could take for ever.

    `name` is the path as the user knows it, if `path` is one that links lead to.

    /dev/null is an empty file, as for the programs whose configuration users link to it.

    Raises:
        OSError: the file is not there, is a directory, or cannot be opened.
    """
    try:
        descriptor = _open_without_waiting(path)
    except OSError:
        _refuse_other_kinds(name or path, path.stat())  # a socket cannot be opened at all (ENXIO)
        raise
    with open(descriptor, "rb") as file:  # noqa: PTH123 - it has no path
        _refuse_other_kinds(name or path, os.fstat(descriptor))
        yield file


def read_regular(path: Path, limit: int = SIZE_LIMIT) -> bytes:
    """Return the bytes of a regular file; refuse one that is larger than the limit.

    Raises:
        OSError: the file is not there, is a directory, or cannot be read.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    # One byte more than the limit was read, so a file of exactly the limit passes.
    if len(content) > limit:
        raise GenError(f"{path}: is larger than {limit // 1024} KiB")
    return content


def read_plain(path: str) -> tuple[bytes, int] | None:
    """Return the bytes and the mode of a regular file that is not a link.

    ``None`` for everything else.

    It is the fast way for many files, and takes text, since a Path for each of them costs more
    than to open it.
    """
    try:
        descriptor = os.open(path, _FLAGS | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > SIZE_LIMIT:
            return None
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            return file.read(), stat.S_IMODE(status.st_mode)
    finally:
        os.close(descriptor)


def is_regular(path: Path) -> bool:
    """Return whether there is a regular file, links followed; refuse a FIFO, socket or device."""
    with os_errors_named(path):
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
    _refuse_other_kinds(path, status)
    return not stat.S_ISDIR(status.st_mode)


def refuse_others(path: Path) -> None:
    """Refuse a private file that another user owns or can write, or whose directories are such.

    Call it for what gen keeps below the home directory: by it, gen deletes files and sends
    secrets. A missing file is refused if a directory would let another user put one there.
    """
    home = _home_directory()
    with os_errors_named(path):
        # The file that links lead to has directories of its own.
        entries = dict.fromkeys(
            (
                *_with_directories(path, home),
                *_with_directories(path.resolve(), home and home.resolve()),
            )
        )
        for entry in entries:
            try:
                status = entry.stat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            _refuse_owner_and_mode(entry, status)


def _with_directories(path: Path, home: Path | None) -> list[Path]:
    """Return a path and its directories, up to the home directory.

    Another user who can write one of them can put a directory of the same name in its place. sshd
    has the same rule for authorized_keys (StrictModes; misc.c, safe_path). Outside the home
    directory only the last one counts: a user cannot change those above.
    """
    entries = [path, path.parent]
    for directory in path.parents:
        if home and directory.is_relative_to(home):
            entries.append(directory)
    return entries


def _home_directory() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and no entry in passwd
        return None


def _refuse_owner_and_mode(path: Path, status: os.stat_result) -> None:
    # root can change every file anyway.
    if status.st_uid not in (os.geteuid(), 0):
        owner = _user_name(status.st_uid)
        if path == _home_directory():
            # As after a sudo that keeps HOME: what gen wrote there would belong to root.
            raise GenError(
                f"{path}: belongs to {owner}, another user; "
                f"run gen as {owner}, or set HOME to a directory of yours"
            )
        raise GenError(f"{path}: belongs to {owner}, another user; move it away, then try again")
    writable_by_others = bool(status.st_mode & stat.S_IWOTH)
    writable_by_group = bool(status.st_mode & stat.S_IWGRP)
    if writable_by_others or (writable_by_group and not _is_private_group(path, status.st_gid)):
        mode = stat.S_IMODE(status.st_mode)
        raise GenError(
            f"{path}: other users can write to it (mode {mode:o}); run chmod go-w {path}, "
            "and check its contents"
        )


def _is_private_group(path: Path, group: int) -> bool:
    """Return whether only the user is in a group: many systems give each user such a group.

    OpenSSH of Debian has the same rule for its configuration (user-group-modes.patch).
    """
    # With an access control list, the bits of the group are those of its mask (acl(5)).
    if hasattr(os, "listxattr"):
        try:
            if "system.posix_acl_access" in os.listxattr(path):
                return False
        except OSError:
            pass  # the file system has none
    try:
        user = pwd.getpwuid(os.geteuid())
        entry = grp.getgrgid(group)
    except KeyError:
        return False
    if entry.gr_gid != user.pw_gid or entry.gr_name != user.pw_name:
        return False
    return set(entry.gr_mem) <= {user.pw_name}


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _open_without_waiting(path: Path) -> int:
    descriptor = os.open(path, _FLAGS)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return descriptor


def _refuse_other_kinds(path: Path, status: os.stat_result) -> None:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind and not _is_null_device(status):
        raise GenError(f"{path}: is {kind}; move it away, then try again")


def _is_null_device(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == Path(os.devnull).stat().st_rdev


def conflict_line(content: bytes) -> int | None:
    """Return the line of the first marker that git left of a merge conflict, if there is one.

    A middle marker alone is not a conflict: seven equals signs underline a title in Markdown.
    """
    for number, line in enumerate(content.splitlines(), 1):
        if line.startswith((b"<<<<<<< ", b">>>>>>> ")):
            return number
    return None
