"""A report for reviewdog: one JSON object in each line, of its type Diagnostic."""

import json

from generator.report.finding import Finding, Level, Report, full_message

# The severities of reviewdog's rdf.proto.
_SEVERITIES = {Level.ERROR: "ERROR", Level.WARNING: "WARNING", Level.NOTE: "INFO"}


def render(report: Report) -> str:
    """Return one line for each finding."""
    lines = []
    for finding in report.findings:
        lines.append(json.dumps(_diagnostic(finding)))
    return "\n".join(lines)


def _diagnostic(finding: Finding) -> dict[str, object]:
    return {
        "message": full_message(finding),
        "location": {"path": finding.path, "range": {"start": {"line": finding.line}}},
        "severity": _SEVERITIES[finding.level],
        "source": {"name": "gen"},
        "code": {"value": finding.rule},
    }
