"""The state of a site's renewals below `~/.local/state/gen`.

`SITE.json` (0600) has results and times. `SITE.lock` keeps a second run away, and `SITE.holder` one
of another machine with the same home directory. `SITE.due` has two lines: the second from which the
certificate is due, and the second in which gen wrote the file. The command in the ssh configuration
reads them without Python. `SITE.work` exists only during a renewal. The timer, the shell, cron and
ssh share all of it. So no XDG variable counts: a unit and a shell may differ in them.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from generator import codec, paths
from generator.clock import Deadline, now
from generator.errors import GenError, os_errors_named
from generator.files import read_regular, refuse_others
from generator.renewal import host_lock
from generator.workspace import writer

_DUE_LIMIT = 64  # bytes


@dataclass(frozen=True)
class State:
    """The state of one site. Times are seconds since 1970, or zero."""

    finished: int = 0
    """The end of the last run that renewed something or failed."""
    result: str = ""
    """`renewed` or `failed`."""
    message: str = ""
    """The message of a failed run."""
    failed_on_connect: int = 0
    """The last failure before a connection; ssh does not try again for a minute after it."""
    notified: int = 0
    """The last desktop notification of a failure."""
    pause_until: int = 0
    """The provider asked for no request until then."""
    issued: tuple[int, ...] = ()
    """The times at which the site issued its last certificates, or may have."""
    centre: str = ""
    """The operator of the site, whose quota those count for."""
    reminded_of: int = 0
    """The end of the last certificate of which ssh has reminded the user."""
    rotated: int = 0
    """The last rotation of the credentials."""
    rotation_failure: str = ""
    """Why the last run did not rotate the credentials, if it failed to."""
    known_tokens: tuple[str, ...] = ()
    """Identifiers of tokens at the provider; gen deletes those that are not in use."""


@dataclass(frozen=True)
class Store:
    """The state files of one site."""

    site: str
    directory: Path

    @property
    def path(self) -> Path:
        """The file with the state."""
        return self._path("json")

    def read(self) -> State:
        """Return the state; an unreadable file counts as none, since a renewal can start afresh.

        A file that another user may have written is refused.
        """
        path = self._path("json")
        refuse_others(path)
        # Not strict: a newer gen may have written keys that this one does not know.
        try:
            value = codec.parse(read_regular(path), str(path))
            return codec.decode(State, value, str(path), strict=False)
        except (OSError, GenError):
            return State()

    def issued_by(self, centre: str) -> list[tuple[int, str]]:
        """Return the times at which a centre issued certificates for its sites, with the sites."""
        issued = [(second, self.site) for second in self.read().issued]
        for path in self.directory.glob("*.json"):
            state = Store(path.stem, self.directory).read()
            if path.stem != self.site and state.centre == centre:
                issued += [(second, path.stem) for second in state.issued]
        return sorted(issued)

    def write(self, state: State) -> None:
        """Replace the state file."""
        path = self._path("json")
        refuse_others(path)
        with os_errors_named(path):
            writer.write_private(path, codec.dump(state), 0o600)

    def write_due(self, second: int, certificate: Path) -> None:
        """Write from when ssh asks for a renewal; without the file, ssh asks at each connection."""
        path = self._path("due")
        # Unchanged most of the time: a write for each look of the timer would wear a disk.
        if _is_current(path, second, certificate):
            return
        line = f"{second}\n{now()}\n".encode()
        with suppress(OSError):
            writer.write_private(path, line, 0o600)

    @contextmanager
    def lock(
        self, deadline: Deadline, waiting: Callable[[], None] = lambda: None
    ) -> Iterator[None]:
        """Keep every other run away; a run that waited must read the state again.

        `waiting` is called if there is another run.
        """
        refuse_others(self._path("lock"))
        with writer.locked(self._path("lock"), deadline.left(), waiting):
            host_lock.acquire(self._path("holder"), deadline, waiting)
            try:
                yield
            finally:
                with suppress(GenError):
                    host_lock.release(self._path("holder"))

    def keep_lock(self) -> None:
        """Hold the lock for longer; refuse if another machine took it while the user was away."""
        host_lock.keep(self._path("holder"))

    @contextmanager
    def work_directory(self) -> Iterator[Path]:
        """Make an empty private directory, in place of one that a killed run left."""
        path = self._path("work")
        self.clean()
        writer.make_private_directories([path])
        try:
            yield path
        finally:
            self.clean()

    def has_work_directory(self) -> bool:
        """Return whether a run is working, or was killed while it did."""
        return self._path("work").exists()

    def clean(self) -> None:
        """Delete the files of a killed run; call it only under the lock."""
        # It may hold a private key that is not in place yet.
        shutil.rmtree(self._path("work"), ignore_errors=True)
        with suppress(OSError):
            writer.remove_scratch_files(self.directory)

    def _path(self, suffix: str) -> Path:
        return self.directory / f"{self.site}.{suffix}"


def _is_current(path: Path, second: int, certificate: Path) -> bool:
    """Return whether the command in the ssh configuration takes a second from a file."""
    try:
        written_due, written_at = read_regular(path, _DUE_LIMIT).split()
        is_newer = certificate.exists() and certificate.stat().st_mtime > path.stat().st_mtime
        return int(written_due) == second and int(written_at) <= now() and not is_newer
    except (OSError, ValueError, GenError):
        return False


def store(site: str) -> Store:
    """Return the state files of a site below the home directory."""
    try:
        return Store(site, Path.home() / paths.STATE)
    except RuntimeError:
        raise GenError("there is no home directory; set HOME") from None
