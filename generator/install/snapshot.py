"""Digests of the files that a plan is made from, to notice when one of them changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from generator.compiler.digests import digest
from generator.errors import os_errors_named
from generator.files import read_regular


@dataclass(frozen=True)
class Snapshot:
    """The state of some files and directories at one time."""

    states: Mapping[Path, str]

    def changed(self) -> list[Path]:
        """Return the paths whose state differs now, in order."""
        return [path for path in sorted(self.states) if _state(path) != self.states[path]]


def snapshot(paths: Iterable[Path]) -> Snapshot:
    """Return the present state of some paths."""
    return Snapshot({path: _state(path) for path in paths})


def _state(path: Path) -> str:
    """Return a text that differs when the content, the mode or the names in a directory differ."""
    with os_errors_named(path):
        # Of the directory of the records, only the locks say which sites are installed.
        if path.is_dir():
            return " ".join(sorted(entry.name for entry in path.glob("*.lock")))
        if not path.is_file():
            return ""  # as of an empty directory: gen creates the one of its records by itself
        # The mode counts: a change of the user's `chmod` would be undone by writing the file.
        mode = path.stat().st_mode & 0o7777
        return f"{mode:04o} {digest(read_regular(path))}"
