"""The verdict on a review: which findings fail it, if a team asks for that."""

from generator.report.finding import Finding, Report
from generator.report.format import FailOn

_TRUST_RULES = frozenset({"refused", "trust"})
# The facts of a new site without any source cannot be checked: as grave as a change of access.
_ACCESS_RULES = _TRUST_RULES | {"unsourced", "access"}


def failing(report: Report, fail_on: FailOn | None) -> list[Finding]:
    """Return the findings that fail a review; none if a team only wants to read it."""
    if fail_on is None:
        return []
    if fail_on is FailOn.ANY:
        return list(report.findings)
    rules = _ACCESS_RULES
    if fail_on is FailOn.TRUST:
        rules = _TRUST_RULES
    findings = []
    for finding in report.findings:
        if finding.rule in rules:
            findings.append(finding)
    return findings
