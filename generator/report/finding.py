"""Findings of a check or a review, and the report that holds them: the input of every format."""

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from generator.errors import GenError
from generator.formatting import count, printable

# An error of the loader may begin with its place: `file:line: message`.
_PLACE = re.compile(r"(?P<path>[^:]+):(?P<line>[1-9][0-9]*): (?P<message>.*)")


class Level(StrEnum):
    """The severity of a finding, in SARIF's words."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One fact that a user should look at."""

    rule: str
    """The kind of finding: a cause of drift, or the weight of a change."""
    level: Level
    message: str
    site: str
    file: str
    """The file that the finding is about, relative to the directory where gen runs."""
    path: str
    """The file to open: the spec, if one of its keys is the reason."""
    line: int = 1
    key: str = ""
    """The key of the spec that the finding is about, if there is one."""
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All findings, in the order in which to read them."""

    kind: Literal["drift", "review"]
    sites: int
    """Number of sites that were compared."""
    findings: tuple[Finding, ...]
    patch: str = ""
    """The change that a review found in the artifacts, as a patch."""


def full_message(finding: Finding) -> str:
    """Return the file and the message of a finding in one line, then a line for each detail."""
    lines = [f"{finding.file}: {finding.message}", *finding.details]
    return "\n".join(map(printable, lines))


def refusals(error: GenError, path: str, site: str) -> list[Finding]:
    """Return a finding for each line of an error.

    A line may begin with a file and a line number.
    """
    findings = []
    for problem in str(error).splitlines():
        findings.append(_refusal(problem, path, site))
    return findings


def _refusal(problem: str, path: str, site: str) -> Finding:
    location, line, message = path, 1, problem
    if match := _PLACE.fullmatch(problem):
        location, line, message = match["path"], int(match["line"]), match["message"]
    # A report prints the file itself.
    message = message.removeprefix(f"{path}: ")
    return Finding(
        rule="refused",
        level=Level.ERROR,
        message=message,
        site=site,
        file=path,
        path=location,
        line=line,
        key=message,
    )


def counts(report: Report) -> dict[str, int]:
    """Return the number of findings of each rule, in the order of the findings."""
    # Counter keeps the order of the first occurrences.
    numbers: Counter[str] = Counter()
    for finding in report.findings:
        numbers[finding.rule] += 1
    return dict(numbers)


def summary(report: Report) -> str:
    """Return the counts of a report in one line."""
    rules = ", ".join(f"{number} {rule}" for rule, number in counts(report).items())
    sites = count(report.sites, "site")
    # Drift is a fault; a change of meaning is only a proposal.
    if report.kind == "drift":
        return f"{sites} checked: {rules or 'every file is what its spec compiles to'}"
    return f"{sites} compared: {rules or 'no change in meaning'}"
