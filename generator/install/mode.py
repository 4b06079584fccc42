"""How ssh comes to read what is installed; alone here, because the command line needs it before all else."""

from enum import StrEnum


class Mode(StrEnum):
    """What `~/.ssh/config` holds of ours."""

    INCLUDE = "include"
    """One line that includes every installed site."""
    INLINE = "inline"
    """The Host blocks themselves."""
    PRINT = "print"
    """Nothing: what to add is printed."""
