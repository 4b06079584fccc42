"""What a person reads. Data and diffs go to stdout, everything else to stderr."""

import os
import sys

from generator.errors import GenError


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


def agreed(question: str) -> bool:
    """Ask a person on the terminal; the usual answer is no.

    Raises:
        GenError: there is no terminal to ask on.
        typer.Exit: with 130, when it was interrupted.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise GenError(
            f"{question} There is no terminal to ask on: say --yes, or look with --dry-run."
        )
    import typer

    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        say()
        raise typer.Exit(130) from None


def patch(text: str) -> None:
    """Show a patch to a person, in colours where these can be seen."""
    coloured = (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )
    data("".join(map(_coloured, text.splitlines(keepends=True))) if coloured else text)


_COLOURS = {"+": 32, "-": 31, "@": 36}


def _coloured(line: str) -> str:
    body, head = line.rstrip("\n"), line.startswith(("+++ ", "--- ", "diff "))
    colour = 1 if head else _COLOURS.get(line[:1])
    return f"\033[{colour}m{body}\033[0m{line[len(body) :]}" if colour else line
