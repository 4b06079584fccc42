"""Values as text for a user: times, amounts, lists, paths, and text from outside."""

import re
import shlex
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

_MEGABYTES = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}
# A line that begins so is a command to GitHub's runner, and to Azure's; docs.github.com, "Workflow
# commands".
_RUNNER_COMMAND = re.compile(r"^(\s*):(?=:.*::)|#(?=#(?:vso)?\[)")


def clock(second: int) -> str:
    """Return a second since 1970 as date and time in UTC."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: int) -> str:
    """Return a duration in its two largest units."""
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min"
    return f"{seconds} s"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return the first names with commas between: `a, b`, `a, b, c and 2 more`."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def megabytes(memory: str) -> int:
    """Return an amount of memory in MB, the unit of a number without one (sbatch(1), `--mem`)."""
    unit = memory[-1]
    if unit not in _MEGABYTES:
        return int(memory)
    return int(int(memory[:-1]) * _MEGABYTES[unit])


def memory(megabytes: int) -> str:
    """Return an amount of memory in the largest unit up to G that keeps it exact."""
    # Slurm's units are powers of 1024 (sbatch(1), --mem).
    if megabytes % 1024 == 0:
        return f"{megabytes // 1024}G"
    return f"{megabytes}M"


def size(number: int) -> str:
    """Return a number of bytes in whole MiB, or else in whole KiB."""
    kibibytes = number // 1024
    if kibibytes % 1024 == 0:
        return f"{kibibytes // 1024} MiB"
    return f"{kibibytes} KiB"


def cut(text: str, most: int) -> str:
    """Return a long text as its two ends, with the number of omitted characters between them.

    A stranger could hide the end of a text behind a long beginning, so the end is always shown.
    """
    if len(text) <= most:
        return text
    end = most // 2
    return f"{text[:end]} …({len(text) - 2 * end:,} characters left out)… {text[-end:]}"


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """Return a text as lines of a width, broken at spaces; all lines after the first are indented.

    A fingerprint, a path or an address stays whole, also where it is longer than a line.
    """
    return textwrap.wrap(
        text,
        max(width, 1),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def command_line(*arguments: str | None) -> str:
    """Return a command with its arguments quoted for the shell, except a leading `~/`."""
    quoted: list[str] = []
    for argument in arguments:
        if not argument:
            continue
        # The shell expands ~ only outside quotes.
        if argument.startswith("~/"):
            quoted.append("~/" + shlex.quote(argument.removeprefix("~/")))
        else:
            quoted.append(shlex.quote(argument))
    return " ".join(quoted)


def commented(command: str, comment: str) -> list[str]:
    """Return a command and its comment: in one line if they fit into 80 columns, or else in two."""
    line = f"  {command}   # {comment}"
    if len(line) <= 80:
        return [line]
    return [f"  # {comment}", f"  {command}"]


def home(path: Path) -> str:
    """Return a path with ~ for the home directory."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


def printable(text: str, most: int = 0) -> str:
    r"""Return text from outside gen in one harmless line, at most so many characters of it.

    Names of files, output of other programs and answers of servers may hold escape sequences that
    drive a terminal, characters that reorder a line, or a line that a CI runner takes for a
    command. Each such character becomes `\uXXXX`.
    """
    if most and len(text) > most:
        text = text[:most] + "…"
    line = "".join(char if char.isprintable() else _escaped(char) for char in text)
    return _RUNNER_COMMAND.sub(lambda match: f"{match[1] or ''}{_escaped(match[0][-1])}", line)


def printable_lines(text: str, most: int = 0) -> str:
    """Return text of several lines, each of them harmless."""
    return "\n".join(printable(line, most) for line in re.split(r"\r?\n", text))


def last_line(text: str, most: int = 300) -> str:
    """Return the last line of a program's output that is not empty, harmless and cut."""
    # Programs print their error last, after warnings and a banner.
    for line in reversed(text.splitlines()):
        if line.strip():
            return printable(line.strip(), most)
    return ""


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}"
