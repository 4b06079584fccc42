"""A report as SARIF 2.1.0, for code scanning."""

import json
from hashlib import sha256
from urllib.parse import quote

from generator import __version__
from generator.report.finding import Finding, Report, full_message


def render(report: Report) -> str:
    """Return one SARIF log."""
    # A result refers to its rule by position, so the order must not depend on the findings.
    rules = sorted({finding.rule for finding in report.findings})
    descriptions: list[dict[str, object]] = []
    for rule in rules:
        text = f"{report.kind}: {rule}"
        descriptions.append({"id": rule, "shortDescription": {"text": text}})
    results = [_result(finding, rules, report.kind) for finding in report.findings]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "gen", "version": __version__, "rules": descriptions}},
                # gen counts characters; without this a viewer counts UTF-16 units.
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }
    return json.dumps(log, indent=2)


def _result(finding: Finding, rules: list[str], kind: str) -> dict[str, object]:
    # A file name may hold bytes that are not UTF-8; Python keeps them as surrogates.
    uri = quote(finding.path.encode("utf-8", "surrogateescape"))
    location = {
        "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": finding.line},
    }
    return {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": finding.level,
        "message": {"text": full_message(finding)},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"finding/v1": fingerprint(finding, kind)},
    }


def fingerprint(finding: Finding, kind: str) -> str:
    """Return a digest that stays the same while a finding persists, even if its line moves.

    A file drifts once for each cause, but a review may say several things about one key: there the
    message counts too.
    """
    parts = [finding.rule, finding.site, finding.file, finding.key]
    if kind == "review":
        parts.append(finding.message)
    # GitHub compares these across runs, to close an alert or keep it open (SARIF 2.1.0, 3.27.17).
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
