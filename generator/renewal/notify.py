"""Desktop notifications, if there is a desktop: notify-send(1), or osascript(1) on macOS."""

import os
import shutil
import sys

from generator import programs
from generator.errors import GenError

# `display notification` is of the Standard Additions of AppleScript. Not run on a Mac.
_SCRIPT = """\
on run texts
    display notification (item 1 of texts) with title (item 2 of texts)
end run"""
PERIOD = 6 * 3600
"""Seconds between two notifications of the same failure."""


def failure(message: str) -> bool:
    """Show a failure, and return whether it was shown."""
    command = _command(message)
    if not command or not shutil.which(command[0]):
        return False
    try:
        return programs.run(command, seconds=5).status == 0
    except GenError:
        return False


def _command(message: str) -> tuple[str, ...] | None:
    title = "SSH certificate"
    if sys.platform == "darwin":
        # The texts are arguments, so that nothing in a message is AppleScript.
        return ("osascript", "-e", _SCRIPT, message, title)
    # Only a desktop has a service that shows it.
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        return None
    return ("notify-send", "--app-name=gen", "--urgency=critical", "--", title, message)
