"""A report as workflow commands, which GitHub shows beside the lines of a pull request."""

from collections import Counter

from generator.formatting import cut, printable
from generator.report.finding import Finding, Level, Report, full_message
from generator.report.grouping import grouped

_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


# GitHub's documentation, "Workflow commands": it shows ten annotations of each level for a step.
_SHOWN = 10
# GitHub cuts a longer message without a mark.
_MAX_MESSAGE = 30_000


def render(report: Report) -> str:
    """Return one command for each finding, or for each group of stale files.

    If a level has more than GitHub shows, its tenth command counts those that are only in the log.
    """
    findings = grouped(report.findings)
    totals: Counter[Level] = Counter()
    for finding in findings:
        totals[finding.level] += 1
    numbers: Counter[Level] = Counter()
    lines = []
    for finding in findings:
        level = finding.level
        numbers[level] += 1
        if numbers[level] == _SHOWN and totals[level] > _SHOWN:
            lines.append(_omission(level, totals[level] - _SHOWN + 1))
        lines.append(_command(finding))
    return "\n".join(lines)


def _omission(level: Level, number: int) -> str:
    text = f"{number} more findings of this level are not shown here; the log of this step has all"
    return f"::{_COMMANDS[level]} title=gen%3A {number} more::{text}"


def _command(finding: Finding) -> str:
    file = _escaped_property(printable(finding.path))
    title = _escaped_property(f"gen: {finding.rule}")
    message = _escaped_message(cut(full_message(finding), _MAX_MESSAGE))
    return f"::{_COMMANDS[finding.level]} file={file},line={finding.line},title={title}::{message}"


# The escapes are those of actions/toolkit (packages/core/src/command.ts). GitHub undoes them, so a
# line break shows as one, and no text can start a command of its own.
def _escaped_message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped_message(text).replace(":", "%3A").replace(",", "%2C")
