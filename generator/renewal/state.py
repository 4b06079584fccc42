"""What is remembered of a site's renewals, below `~/.local/state/gen`: the same for timer, shell, cron and ssh.

`SITE.json` (0600) holds results and times of issue, `SITE.lock` keeps a second writer away, `SITE.due` is one line, the
second from which the certificate is to be renewed: what ssh's hook reads without Python. `SITE.work` is there during a
renewal only. No XDG variable counts: a unit and a shell may differ in them.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from generator import paths
from generator.errors import GenError, os_errors_named
from generator.renewal.deadline import Deadline
from generator.workspace import writer

DAY = 86_400


@dataclass(frozen=True)
class State:
    """What is remembered of one site. Times are seconds since 1970, zero where there was none."""

    at: int = 0
    """When the last run that renewed or failed ended."""
    result: str = ""
    """`renewed` or `failed`."""
    message: str = ""
    """What a failed run said."""
    told: int = 0
    """When a person was last notified of a failure."""
    pause_until: int = 0
    """Until when the provider asked to be left alone."""
    issued: tuple[int, ...] = ()
    """When certificates were issued in the last day."""
    rotated: int = 0
    """When the credentials were last rotated."""
    leftovers: tuple[str, ...] = ()
    """Identifiers of tokens that are in use or are to be taken away: whichever the credentials file does not name."""


@dataclass(frozen=True)
class Store:
    """The files of one site."""

    site: str
    folder: Path

    def read(self) -> State:
        """Return what is remembered; of a file that cannot be read, nothing."""
        try:
            found = json.loads(self._place("json").read_bytes())
            values: dict[str, Any] = {
                item.name: found.get(item.name, item.default) for item in fields(State)
            }
        except (OSError, ValueError, AttributeError):
            return State()
        values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        kinds = {item.name: type(item.default) for item in fields(State)}
        return (
            State(**values)
            if all(type(value) is kinds[name] for name, value in values.items())
            else State()
        )

    def write(self, state: State) -> None:
        """Put it in place as a whole.

        Raises:
            GenError: it cannot be written.
        """
        with os_errors_named(self._place("json")):
            writer.private(
                self._place("json"), f"{json.dumps(asdict(state), indent=1)}\n".encode(), 0o600
            )

    def due(self, second: int) -> None:
        """Tell ssh's hook from when to renew; where that cannot be written, the hook asks each time."""
        line = f"{second}\n".encode()
        with suppress(OSError):
            if not self._place("due").is_file() or self._place("due").read_bytes() != line:
                writer.private(self._place("due"), line, 0o600)

    @contextmanager
    def lock(self, deadline: Deadline) -> Iterator[None]:
        """Keep every other run away; whoever waited looks at everything anew.

        Raises:
            GenError: no file can be made there, or another run does not end in time.
        """
        with writer.locked(self._place("lock"), deadline.left()):
            yield

    @contextmanager
    def work(self) -> Iterator[Path]:
        """Make an empty private folder, which goes afterwards; one that a killed run left goes first."""
        place = self._place("work")
        self.clean()
        writer.make_private([place])
        try:
            yield place
        finally:
            self.clean()

    def left(self) -> bool:
        """Tell whether a run is at work, or was killed at it."""
        return self._place("work").exists()

    def clean(self) -> None:
        """Take away what a run that was killed left; to be called under the lock."""
        shutil.rmtree(self._place("work"), ignore_errors=True)
        with suppress(OSError):
            writer.clear(self.folder)

    def _place(self, kind: str) -> Path:
        return self.folder / f"{self.site}.{kind}"


def store(site: str) -> Store:
    """Return the files of a site in the home folder.

    Raises:
        GenError: there is no home folder.
    """
    try:
        return Store(site, Path.home() / paths.STATE)
    except RuntimeError:
        raise GenError("there is no home folder; set HOME") from None
