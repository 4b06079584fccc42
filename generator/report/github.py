"""A report as workflow commands, which GitHub shows beside the lines of a pull request."""

from generator.report.finding import Finding, Level, Report, said

_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


def render(report: Report) -> str:
    """Return a line for each finding; GitHub shows the first ten of a kind for a step."""
    return "\n".join(map(_command, report.findings))


def _command(finding: Finding) -> str:
    place = f"file={_property(finding.path)},line={finding.line},title={_property(f'gen: {finding.rule}')}"
    text = said(finding)
    return f"::{_COMMANDS[finding.level]} {place}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
