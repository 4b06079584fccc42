"""Desktop notifications, if there is a desktop (notify-send(1))."""

import os
import shutil

from generator import programs
from generator.errors import GenError

PERIOD = 6 * 3600
"""Seconds between two notifications of the same failure."""


def failure(message: str) -> bool:
    """Show a failure, and return whether it was shown."""
    # Only a desktop has a service that shows it.
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        return False
    program = shutil.which("notify-send")
    if not program:
        return False
    options = ("--app-name=gen", "--urgency=critical", "--")
    try:
        return programs.run((program, *options, "SSH certificate", message), seconds=5).status == 0
    except GenError:
        return False
