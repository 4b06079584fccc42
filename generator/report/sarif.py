"""A report as SARIF 2.1.0, for code scanning."""

import json
from hashlib import sha256
from urllib.parse import quote

from generator import __version__
from generator.report.finding import Finding, Report, said


def render(report: Report) -> str:
    """Return one SARIF log; the fingerprint of a finding stays when its line moves."""
    rules = sorted({finding.rule for finding in report.findings})
    driver = {
        "name": "gen",
        "version": __version__,
        "rules": [
            {"id": rule, "shortDescription": {"text": f"{report.kind}: {rule}"}} for rule in rules
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, rules, report.kind) for finding in report.findings],
    }
    return json.dumps(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [run],
        },
        indent=2,
    )


def _result(finding: Finding, rules: list[str], kind: str) -> dict[str, object]:
    place = {
        "artifactLocation": {
            "uri": quote(finding.path.encode("utf-8", "surrogateescape")),
            "uriBaseId": "%SRCROOT%",
        },
        "region": {"startLine": finding.line},
    }
    return {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": finding.level,
        "message": {"text": said(finding)},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"finding/v1": _fingerprint(finding, kind)},
    }


def _fingerprint(finding: Finding, kind: str) -> str:
    """Return what stays while a finding does: a file drifts once for a cause, but much may be said of one key."""
    said = [finding.message] if kind == "proposal" else []
    parts = [finding.rule, finding.site, finding.file, finding.key, *said]
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
