"""What a person reads. Data and diffs go to stdout, everything else to stderr."""

import sys


def data(text: str) -> None:
    """Write what a program may read."""
    sys.stdout.write(text if not text or text.endswith("\n") else f"{text}\n")


def say(text: str = "") -> None:
    """Write a line for a person."""
    sys.stderr.write(f"{text}\n")
