"""A report as workflow commands, which GitHub shows beside the lines of a pull request."""

from generator.formatting import printable
from generator.report.finding import Finding, Level, Report, full_message

_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


def render(report: Report) -> str:
    """Return one command for each finding. GitHub shows the first ten of each level in a step."""
    return "\n".join(_command(finding) for finding in report.findings)


def _command(finding: Finding) -> str:
    file = _escaped_property(printable(finding.path))
    title = _escaped_property(f"gen: {finding.rule}")
    message = _escaped_message(full_message(finding))
    return f"::{_COMMANDS[finding.level]} file={file},line={finding.line},title={title}::{message}"


# The escapes are those of actions/toolkit (packages/core/src/command.ts). GitHub undoes them, so a
# line break shows as one, and no text can start a command of its own.
def _escaped_message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped_message(text).replace(":", "%3A").replace(",", "%2C")
