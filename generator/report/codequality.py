"""A report as GitLab's Code Quality: GitLab shows it beside the lines of a merge request."""

import json

from generator.report.finding import Finding, Level, Report, full_message
from generator.report.sarif import fingerprint

# docs.gitlab.com, "Code Quality report format". Of its five severities, blocker is left out: the
# status of the job says whether a merge request may pass.
_SEVERITIES = {Level.ERROR: "critical", Level.WARNING: "major", Level.NOTE: "info"}


def render(report: Report) -> str:
    """Return one JSON array."""
    return json.dumps([_entry(finding, report.kind) for finding in report.findings], indent=2)


def _entry(finding: Finding, kind: str) -> dict[str, object]:
    return {
        "description": full_message(finding),
        "check_name": f"gen/{finding.rule}",
        "fingerprint": fingerprint(finding, kind),
        "severity": _SEVERITIES[finding.level],
        "location": {"path": finding.path, "lines": {"begin": finding.line}},
    }
