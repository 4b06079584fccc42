"""A report as reviewdog reads it: a JSON object on each line (its Diagnostic)."""

import json

from generator.report.finding import Finding, Level, Report, said

_SEVERITIES = {Level.ERROR: "ERROR", Level.WARNING: "WARNING", Level.NOTE: "INFO"}


def render(report: Report) -> str:
    """Return a line for each finding."""
    return "\n".join(json.dumps(_diagnostic(finding)) for finding in report.findings)


def _diagnostic(finding: Finding) -> dict[str, object]:
    return {
        "message": said(finding),
        "location": {"path": finding.path, "range": {"start": {"line": finding.line}}},
        "severity": _SEVERITIES[finding.level],
        "source": {"name": "gen"},
        "code": {"value": finding.rule},
    }
