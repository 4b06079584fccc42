"""How ssh reads the installed sites. A module of its own, because `gen --help` needs it fast."""

from enum import StrEnum


class Mode(StrEnum):
    """What gen puts into `~/.ssh/config`."""

    INCLUDE = "include"
    """One line that includes every installed site."""
    INLINE = "inline"
    """The Host blocks of each site."""
    PRINT = "print"
    """Nothing: gen prints the lines for the user to add."""
