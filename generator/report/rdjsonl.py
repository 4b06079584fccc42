"""A report for reviewdog: one JSON object in each line, of its type Diagnostic."""

import json

from generator.report.finding import Finding, Level, Report, full_message

# The severities of reviewdog's rdf.proto.
_SEVERITIES = {Level.ERROR: "ERROR", Level.WARNING: "WARNING", Level.NOTE: "INFO"}


def render(report: Report) -> str:
    """Return one line for each finding."""
    return "\n".join(json.dumps(_diagnostic(finding)) for finding in report.findings)


def _diagnostic(finding: Finding) -> dict[str, object]:
    return {
        "message": full_message(finding),
        "location": {"path": finding.path, "range": {"start": {"line": finding.line}}},
        "severity": _SEVERITIES[finding.level],
        "source": {"name": "gen"},
        "code": {"value": finding.rule},
    }
