"""Everything that gen prints and asks: data and patches on stdout, everything else on stderr.

Names of files, output of other programs and values of specs may hold characters that drive a
terminal. Text for stderr or for a terminal is made printable; a patch or JSON in a pipe keeps
its bytes.
"""

import codecs
import io
import os
import shutil
import sys
from collections.abc import Sequence

from generator.errors import GenError
from generator.formatting import printable, printable_lines

# Width of a table without a terminal: each row is one line, for grep.
_WIDE = 250
_ASCII_ERRORS = "gen-ascii"
# The characters of gen's own output; others lose their accents or become their number.
_IN_ASCII = {"→": "->", "…": "...", "─": "-", "“": '"', "”": '"', "’": "'", "—": "-", "×": "x"}
_COLOURS = {"+": 32, "-": 31, "@": 36}
_BOLD = 1


def follow_locale() -> None:
    """Write ASCII to the streams for users where the locale has no UTF-8."""
    codecs.register_error(_ASCII_ERRORS, _as_ascii)
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        is_utf8 = stream.encoding.lower() in ("utf-8", "utf8")
        if not is_utf8 or (stream.isatty() and not _locale_has_utf8()):
            stream.reconfigure(encoding="ascii", errors=_ASCII_ERRORS)


def _locale_has_utf8() -> bool:
    """Return whether the user's locale has UTF-8; a terminal without any locale is taken to."""
    language = os.environ.get("LANG") or "UTF-8"
    variables = ["LC_ALL", "LC_CTYPE", "LANG"]
    if "utf" not in language.lower():
        # Python itself sets LC_CTYPE where the locale is C, or is not installed (PEP 538).
        variables.remove("LC_CTYPE")
    for variable in variables:
        value = os.environ.get(variable)
        if value:
            return "utf" in value.lower()
    return True


def _as_ascii(error: UnicodeError) -> tuple[str, int]:
    """Replace the characters that a stream cannot encode, for codecs.register_error."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    # Only a locale without UTF-8 needs it.
    from unicodedata import normalize

    text = ""
    for char in error.object[error.start : error.end]:
        # Letters lose their accents: `é` becomes `e`.
        plain = normalize("NFKD", char).encode("ascii", "ignore").decode()
        text += _IN_ASCII.get(char) or plain or char.encode("ascii", "backslashreplace").decode()
    return text, error.end


def _shown(text: str) -> str:
    """Return a text as stdout shows it, for a pager, which writes in its own way."""
    return text.encode(sys.stdout.encoding, sys.stdout.errors or "strict").decode()


def data(text: str) -> None:
    """Write text for programs to stdout, as UTF-8; on a terminal, in what its locale can show.

    Bytes of a file that are not UTF-8 come out as they were.
    """
    complete = text if not text or text.endswith("\n") else f"{text}\n"
    if sys.stdout.isatty() and sys.stdout.errors == _ASCII_ERRORS:
        sys.stdout.write(complete)
    else:
        # Programs read it, and UTF-8 is the encoding of JSON and of our files in every locale.
        sys.stdout.buffer.write(complete.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def paged(text: str) -> None:
    """Write text for readers to stdout, on a terminal with the user's pager if it is too long."""
    if sys.stdout.isatty() and not _fits_screen(text):
        # It takes a while to import, and knows $PAGER and which pagers are installed.
        import pydoc

        pydoc.pager(_shown(printable_lines(text)) + "\n")
    else:
        data(text)


def say(text: str = "") -> None:
    """Write a line, or several, for the user to stderr."""
    sys.stderr.write(f"{printable_lines(text)}\n")


def say_waiting() -> None:
    """Say at once that another gen is at work, since the wait may be of minutes."""
    say("waiting for another gen …")


def say_next(*commands: str) -> None:
    """Write the next commands, each on a line of its own that can be pasted."""
    say("\nNext:")
    for command in commands:
        say(f"  {command}")


def width() -> int:
    """Return the width of a table on stdout."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return _WIDE


def on_terminal() -> bool:
    """Return whether the user can answer a question."""
    # Python has None for a stream that was closed before the start (`gen … <&-`).
    return sys.stdin is not None and sys.stdin.isatty()


def agreed(question: str, *, has_dry_run: bool = True) -> bool:
    """Ask the user to confirm; the default answer is no.

    Without a terminal, the error names the options of the command: `--yes` and, if it has that,
    `--dry-run`.
    """
    if not on_terminal():
        advice = "Add --yes, or see the changes with --dry-run." if has_dry_run else "Add --yes."
        raise GenError(f"{question} There is no terminal to ask on. {advice}")
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


def agreed_to_changes(question: str, changes: str, summary: Sequence[str], own: str = "") -> bool:
    """Show changes as a patch, and ask the user to confirm them.

    On a terminal, a patch that is longer than the screen would hide what was printed before it. So
    a summary stands for it, beside the patch `own` of a file that is always shown, and the answer
    `d` shows all.
    """
    if not (on_terminal() and sys.stdout.isatty()) or _fits_screen(changes):
        patch(changes)
        return agreed(question)
    say("\n".join(summary))
    if own:
        patch(own)
    say("To see all changes line by line, answer d.")
    while True:
        reply = answer(f"{question} [y/N]", "").lower()
        if reply == "d":
            patch(changes)
        elif reply in ("", "y", "yes", "n", "no"):
            return reply.startswith("y")
        else:
            say(f"  {reply}: answer y, n or d")


def _fits_screen(text: str) -> bool:
    # The question and the line above it stay on the screen too.
    return text.count("\n") + 2 <= shutil.get_terminal_size().lines


def answer(question: str, default: str | None = None) -> str:
    """Ask the user for a line of text; without a default there must be an answer."""
    import typer

    try:
        text: str = typer.prompt(
            printable(question),
            default=default,
            show_default=bool(default),
            err=True,
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
        # A tab is harmless, and no terminal shows it by its number.
        shown = printable(line.expandtabs())
        data(_coloured(shown) if coloured else shown)


def _coloured(line: str) -> str:
    if line.startswith(("+++ ", "--- ", "diff ")):
        colour: int | None = _BOLD
    else:
        colour = _COLOURS.get(line[:1])
    if colour is None:
        return line
    return f"\033[{colour}m{line}\033[0m"
