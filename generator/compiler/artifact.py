"""The generated file as a value. The compiler makes it; others write, compare or report it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath


class Owner(StrEnum):
    """The owner of a file after gen has written it."""

    MANAGED = "managed"
    """gen owns it: gen regenerates it on each run, and a difference is drift."""
    SEEDED = "seeded"
    """The user owns it: gen writes it once, never overwrites it, and never reports drift."""


@dataclass(frozen=True)
class Artifact:
    """A generated file.

    `path` is relative to the output directory. `install_to` is relative to the home directory; it
    is ``None`` for a file that `gen install` does not copy.
    """

    path: PurePosixPath
    content: bytes
    mode: int
    install_to: PurePosixPath | None = None
    owner: Owner = Owner.MANAGED
