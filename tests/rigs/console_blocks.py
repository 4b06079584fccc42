"""The console blocks of a page: commands after `$ `, and their output as a reader sees it.

A line `…` stands for any lines, and `…` within a line for any text.
"""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Example:
    """A command of a page with its output."""

    command: str
    output: str

    def check(self, output: str) -> None:
        """Check that a real output is the one of the page."""
        real = "".join(f"{line.rstrip()}\n" for line in output.strip("\n").split("\n"))
        assert re.fullmatch(_pattern(self.output), real), f"{self.command}\n{real}"


def examples(page: Path) -> list[Example]:
    """Return the examples of a page in order."""
    result = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = example.partition("\n")
            result.append(Example(command, output.strip("\n")))
    return result


def _pattern(output: str) -> str:
    """Return a regular expression for an output with `…` in it."""
    pattern = ""
    for line in output.split("\n"):
        if line == "…":
            # The last lines of an output may be left out too, so the line end belongs to each.
            pattern += r"(?:.*\n)*?"
        else:
            pattern += re.escape(line).replace("…", ".*") + r"\n"
    return pattern
