"""The console blocks of a page: commands after `$ `, and their output as a reader sees it.

A line `…` stands for any lines, and `…` within a line for any text.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

# gen prints the default of a question in brackets; these have none, or come from ssh-keygen.
_WITHOUT_DEFAULT = (
    *("  client_id: .*", "Enter .*passphrase.*", "Your e-mail address, for certificates"),
    *("Name of the cluster, for people", "Organization that .*", "Country, as .*"),
    *("Address of .*", "Page that .*", "Host name to log in to", "What the site asks .*"),
)
_QUESTION = re.compile(rf"^(.*\[[^]]*\]|{'|'.join(_WITHOUT_DEFAULT)}):(?: (.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A command of a page with its output."""

    command: str
    output: str

    def answers(self) -> list[tuple[str, str]]:
        """Return each question in the output with the reply that the reader types after it."""
        questions: list[tuple[str, str]] = _QUESTION.findall(self.output)
        return questions

    def check(self, output: str) -> None:
        """Check that a real output is the one of the page."""
        real = "".join(f"{line.rstrip()}\n" for line in output.strip("\n").split("\n"))
        assert re.fullmatch(_pattern(self.output), real), f"{self.command}\n{real}"


def examples(page: Path, section: str = "") -> list[Example]:
    """Return the examples of a page, or of one section of it, in order."""
    text = page.read_text()
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    result = []
    # Blocks in a list are indented.
    fences = re.compile(r"^ *```console\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
    for block in fences.findall(text):
        for example in re.split(r"^\$ ", dedent(block), flags=re.MULTILINE)[1:]:
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
