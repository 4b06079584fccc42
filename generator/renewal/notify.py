"""A word to a person who is not looking: a desktop notification, where there is a desktop (notify-send(1))."""

import os
import shutil
import subprocess

PERIOD = 6 * 3600
"""Seconds between two notifications of the same trouble."""


def failure(message: str) -> bool:
    """Show a failure, and tell whether it was shown."""
    program = shutil.which("notify-send")
    if not program or not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        return False
    words = [program, "--app-name=gen", "--urgency=critical", "--", "SSH certificate", message]
    try:
        return subprocess.run(words, capture_output=True, timeout=5, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
