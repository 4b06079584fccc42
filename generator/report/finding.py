"""What a check or a review found: the one value between them and the formats."""

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from generator.errors import GenError

FORMAT_VERSION = "1.0"


class Level(StrEnum):
    """How much a finding matters, in SARIF's words."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that a person should look at."""

    rule: str
    """What kind of thing: a cause of drift, a weight of a change."""
    level: Level
    message: str
    site: str
    file: str
    """The file that it is about."""
    path: str
    """The file in which to look, as seen from where gen runs."""
    line: int = 1
    key: str = ""
    """The key of the spec, where it is about one."""
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All findings, in the order in which they are to be read."""

    kind: Literal["drift", "proposal"]
    checked: int
    """Number of sites that were looked at."""
    findings: tuple[Finding, ...]
    effect: str = ""
    """What a proposal would change in the artifacts, as a patch."""


def visible(text: str) -> str:
    """Return a text in one line: what cannot be printed, which a file's name may hold, as its number."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def said(finding: Finding) -> str:
    """Return a finding in words, its details on lines of their own."""
    return "\n".join([f"{finding.file}: {finding.message}", *finding.details])


def refusals(error: GenError, path: str, site: str) -> list[Finding]:
    """Return a finding for each line of an error, which may name a file and its line in front."""
    return [_refused(problem, path, site) for problem in str(error).splitlines()]


def _refused(problem: str, path: str, site: str) -> Finding:
    named = re.fullmatch(r"(?P<path>[^:]+):(?P<line>[1-9][0-9]*): (?P<rest>.*)", problem)
    place, line, rest = (
        (named["path"], int(named["line"]), named["rest"]) if named else (path, 1, problem)
    )
    message = rest.removeprefix(f"{path}: ")
    return Finding(
        "refused", Level.ERROR, message, site, file=path, path=place, line=line, key=message
    )


def counts(report: Report) -> dict[str, int]:
    """Return how often each rule was found, in the order of the findings."""
    return dict(Counter(finding.rule for finding in report.findings))


def summary(report: Report) -> str:
    """Return all findings in one line; drift is a fact, a proposal is not one yet."""
    listed = ", ".join(f"{number} {rule}" for rule, number in counts(report).items())
    sites = f"{report.checked} site{'s' if report.checked != 1 else ''}"
    if report.kind == "drift":
        return f"{sites} checked: {listed or 'every file is what its spec compiles to'}"
    return f"{sites} compared: {listed or 'no change in meaning'}"
