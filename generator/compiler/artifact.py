"""The one value between the compiler and everything that writes, compares or reports."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath


class Owner(StrEnum):
    """Whose a file is once it is written."""

    MANAGED = "managed"
    """The generator's: made anew each time; a difference is drift."""
    SEEDED = "seeded"
    """The user's from the first writing on: never overwritten, never drift."""


@dataclass(frozen=True)
class Artifact:
    """A generated file.

    `path` is relative to the folder that is generated into, `install_to` relative to the home folder (``None``: the
    file is used where it lies).
    """

    path: PurePosixPath
    content: bytes
    mode: int
    install_to: PurePosixPath | None = None
    owner: Owner = Owner.MANAGED
