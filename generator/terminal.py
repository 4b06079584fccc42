"""What a person reads. Data and diffs go to stdout, everything else to stderr."""

import sys


def data(text: str) -> None:
    """Write what a program may read: UTF-8 whatever the locale, and bytes that are none as they were in a file."""
    whole = text if not text or text.endswith("\n") else f"{text}\n"
    sys.stdout.buffer.write(whole.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def say(text: str = "") -> None:
    """Write a line for a person."""
    sys.stderr.write(f"{text}\n")
