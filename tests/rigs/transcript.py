"""Run transcripts: text files with commands and their expected output side by side.

Lines that begin with two spaces belong to the transcript; all others explain it. `$ ` starts a
command, and `> ` continues it. The lines below it are its output: stdout as it is, stderr with `! `
in front, then the exit status in brackets, if it is not 0. `...` stands for any lines, `! ...` for
any lines of stderr. `gen` runs in the process of the test; everything else is for bash. The form is
that of cram (https://bitheap.org/cram/).

With UPDATE_TRANSCRIPTS=1 the expected output is regenerated, to be reviewed in the diff.
"""

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from running import Gen, Result

from generator import __version__
from generator.compiler.compiled_templates import DIGEST

UPDATE = os.environ.get("UPDATE_TRANSCRIPTS") == "1"
_INDENT = "  "


@dataclass(frozen=True)
class Step:
    """A command, its expected output, and the first and the last line number of that output."""

    command: str
    expected: tuple[str, ...]
    start: int
    end: int


def read(path: Path) -> list[Step]:
    """Return the steps of a transcript."""
    steps: list[Step] = []
    command: list[str] = []
    expected: list[str] = []
    start = 0
    for number, line in enumerate([*path.read_text().split("\n"), ""]):
        text = line.removeprefix(_INDENT)
        is_text = not line.startswith(_INDENT)
        if command and (is_text or text.startswith("$ ")):
            steps.append(Step("\n".join(command), tuple(expected), start, number))
            command, expected = [], []
        if is_text:
            continue
        if text.startswith("$ "):
            command, start = [text[2:]], number + 1
        elif text.startswith("> ") and not expected:
            command.append(text[2:])
            start = number + 1
        else:
            expected.append(text)
    return steps


def run(step: Step, gen: Gen) -> list[str]:
    """Run a command and return its output, as a transcript has it."""
    if step.command.startswith("gen "):
        result = gen(*shlex.split(step.command)[1:])
    else:
        result = _bash(step.command)
    lines = _lines(result.out) + [f"! {line}".rstrip() for line in _lines(result.err)]
    if result.status:
        lines.append(f"[{result.status}]")
    return [stable(line) for line in lines]


def _bash(command: str) -> Result:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


def _lines(output: str) -> list[str]:
    return output.removesuffix("\n").split("\n") if output else []


def stable(text: str) -> str:
    """Replace the parts that differ between releases and days: versions, digests, and dates."""
    today = date.today()
    text = text.replace(__version__, "VERSION").replace(DIGEST, "TEMPLATES")
    text = text.replace(str(today), "TODAY")
    return text.replace(str(today - timedelta(days=1)), "YESTERDAY")


def matches(expected: Sequence[str], actual: Sequence[str]) -> bool:
    """Return whether output is as expected; `...` matches any lines."""
    if not expected:
        return not actual
    first, remaining = expected[0], expected[1:]
    if first in ("...", "! ..."):
        if matches(remaining, actual):
            return True
        is_error = first.startswith("!")
        may_skip = bool(actual) and (not is_error or actual[0].startswith("!"))
        return may_skip and matches(expected, actual[1:])
    return bool(actual) and first == actual[0] and matches(remaining, actual[1:])


def update(path: Path, outputs: Sequence[tuple[Step, list[str]]]) -> None:
    """Write the actual output of each step into the transcript, unless the expected one matches."""
    lines = path.read_text().split("\n")
    for step, actual in reversed(outputs):
        if not matches(step.expected, actual):
            lines[step.start : step.end] = [f"{_INDENT}{line}".rstrip() for line in actual]
    path.write_text("\n".join(lines))
