"""Everything that gen prints and asks: data and patches on stdout, everything else on stderr.

Names of files, output of other programs and values of specs may hold characters that drive a
terminal. Text for stderr or for a terminal is made printable; a patch or JSON in a pipe keeps
its bytes.
"""

import os
import shutil
import sys

from generator.errors import GenError
from generator.formatting import printable, printable_lines

# Width of a table without a terminal: each row is one line, for grep.
_WIDE = 250
_COLOURS = {"+": 32, "-": 31, "@": 36}
_BOLD = 1


def data(text: str) -> None:
    """Write text for programs to stdout, as UTF-8 in every locale.

    Bytes of a file that are not UTF-8 come out as they were.
    """
    complete = text if not text or text.endswith("\n") else f"{text}\n"
    # In a locale without UTF-8, print() would raise UnicodeEncodeError.
    sys.stdout.buffer.write(complete.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def paged(text: str) -> None:
    """Write text for readers to stdout, on a terminal with the user's pager if it is too long."""
    if sys.stdout.isatty() and text.count("\n") + 2 > shutil.get_terminal_size().lines:
        # It takes a while to import, and knows $PAGER and which pagers are installed.
        import pydoc

        pydoc.pager(printable_lines(text))
    else:
        data(text)


def say(text: str = "") -> None:
    """Write a line, or several, for the user to stderr."""
    sys.stderr.write(f"{printable_lines(text)}\n")


def say_next(*commands: str) -> None:
    """Write the next commands, each on a line of its own that can be pasted."""
    say("\n".join(["", "Next:", *(f"  {command}" for command in commands)]))


def width() -> int:
    """Return the width of a table on stdout."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return _WIDE


def on_terminal() -> bool:
    """Return whether the user can answer a question."""
    # Python has None for a stream that was closed before the start (`gen … <&-`).
    return sys.stdin is not None and sys.stdin.isatty()


def agreed(question: str) -> bool:
    """Ask the user to confirm; the default answer is no."""
    if not on_terminal():
        raise GenError(
            f"{question} There is no terminal to ask on."
            " Add --yes, or see the changes with --dry-run."
        )
    import typer

    try:
        return typer.confirm(printable(question), err=True)
    except typer.Abort:
        say()
        raise typer.Exit(130) from None


def chosen(question: str, *choices: str) -> str | None:
    """Ask the user for one of several choices, such as `y`; the default, no, is ``None``."""
    shown = f"{question} [{'/'.join((*choices, 'N'))}]"
    while True:
        reply = answer(shown, "").lower()
        if reply in choices:
            return reply
        if reply in ("", "n", "no"):
            return None
        say(f"  {reply}: answer {', '.join(choices)} or n")


def answer(question: str, default: str | None = None) -> str:
    """Ask the user for a line of text; without a default there must be an answer."""
    import typer

    try:
        text: str = typer.prompt(
            printable(question), default=default, show_default=bool(default), err=True
        )
    except typer.Abort:
        say()
        raise typer.Exit(130) from None
    return text.strip()


def patch(text: str) -> None:
    """Show a patch: in colours on a terminal, unchanged elsewhere, so that `git apply` takes it."""
    if not sys.stdout.isatty():
        data(text)
        return
    coloured = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for line in text.removesuffix("\n").split("\n"):
        shown = printable(line)
        data(_coloured(shown) if coloured else shown)


def _coloured(line: str) -> str:
    if line.startswith(("+++ ", "--- ", "diff ")):
        colour: int | None = _BOLD
    else:
        colour = _COLOURS.get(line[:1])
    if colour is None:
        return line
    return f"\033[{colour}m{line}\033[0m"
