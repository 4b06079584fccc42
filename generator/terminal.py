"""What a person reads. Data and diffs go to stdout, everything else to stderr."""

import os
import sys


def data(text: str) -> None:
    """Write what a program may read: UTF-8 whatever the locale, and bytes that are none as they were in a file."""
    whole = text if not text or text.endswith("\n") else f"{text}\n"
    sys.stdout.buffer.write(whole.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def say(text: str = "") -> None:
    """Write a line for a person."""
    sys.stderr.write(f"{text}\n")


def width() -> int | None:
    """Return how wide a table may be where there is no terminal: so wide that a row is a line; ``None`` asks rich."""
    return None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 250
