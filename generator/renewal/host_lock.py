"""A lock between machines that share a home directory.

flock(2) keeps the processes of one machine apart. On NFS it may not reach another machine (nfs(5),
`local_lock` and `nolock`), but there a file is created once. A run that is killed leaves its file,
so the file says until when it counts.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from generator import codec
from generator.clock import Deadline, now
from generator.errors import GenError, os_errors_named
from generator.files import read_regular, refuse_others
from generator.formatting import clock, printable
from generator.renewal.certificate_file import CLOCK_TOLERANCE
from generator.renewal.failures import PassingError
from generator.workspace import writer

_LIFETIME = 600  # seconds, far more than a run without the user takes
_POLL = 0.5  # seconds
# systemd's number of a machine (machine-id(5)): two machines may have one name.
_MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True)
class _Holder:
    """The run that holds a lock."""

    host: str
    machine: str
    process: int
    until: int
    """The second after which it counts as dead."""

    def is_here(self) -> bool:
        """Return whether it is, or was, a run of this machine."""
        return (self.host, self.machine) == (os.uname().nodename, _machine())

    def is_dead(self) -> bool:
        # A run of this machine would hold the flock, which the caller has. An end far ahead is of
        # another machine's wrong clock.
        left = self.until - now()
        return self.is_here() or not -CLOCK_TOLERANCE < left <= _LIFETIME + CLOCK_TOLERANCE


def acquire(path: Path, deadline: Deadline, waiting: Callable[[], None] = lambda: None) -> None:
    """Take the lock, which the caller must hold by flock already; wait for another machine.

    `waiting` is called once if another machine has it.
    """
    is_reported = False
    while True:
        with os_errors_named(path):
            if writer.create(path, _own()):
                return
            content = _content(path)
        holder = _holder(content)
        if holder is None or holder.is_dead():
            with os_errors_named(path):
                writer.take(path, content)
            continue
        if not deadline.left():
            raise PassingError(
                f"{path}: gen on {printable(holder.host)} is still running, until "
                f"{clock(holder.until)} at the latest; wait for it, then try again"
            )
        if not is_reported:
            is_reported = True
            waiting()
        time.sleep(min(_POLL, deadline.left()))


def keep(path: Path) -> None:
    """Let the lock count for longer; refuse if another machine has taken it."""
    holder = _holder(_content(path))
    if not holder or not holder.is_here() or holder.process != os.getpid():
        raise GenError(f"{path}: another machine has taken over this renewal; try again")
    with os_errors_named(path):
        writer.write_private(path, _own(), 0o600)


def release(path: Path) -> None:
    """Remove the lock, unless another machine has taken it."""
    with os_errors_named(path):
        content = _content(path)
        holder = _holder(content)
        if holder and holder.is_here():
            writer.take(path, content)


def _own() -> bytes:
    host = os.uname().nodename
    return codec.dump(_Holder(host, _machine(), os.getpid(), now() + _LIFETIME))


def _machine() -> str:
    try:
        return _MACHINE_ID.read_text().strip()
    except OSError:  # macOS has none
        return ""


def _content(path: Path) -> bytes:
    refuse_others(path)
    try:
        return read_regular(path)
    except FileNotFoundError:
        return b""


def _holder(content: bytes) -> _Holder | None:
    """Return the run that a lock file names, or ``None`` if it names none."""
    try:
        return codec.load(_Holder, content, "lock")
    except GenError:
        return None
