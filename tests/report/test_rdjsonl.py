"""Diagnostics in the form of reviewdog's own schema."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hostile import PLAIN, each_text, everywhere, report
from jsonschema import Draft4Validator

from generator.report import rdjsonl
from generator.report.finding import Level, full_message

# The schema is reviewdog's own (proto/rdf/jsonschema/Diagnostic.json).
SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/reviewdog-diagnostic.json").read_text())


@each_text
def test_every_finding_has_its_own_line(text: str) -> None:
    findings = list(everywhere(text))
    lines = rdjsonl.render(report(*findings)).split("\n")
    for finding, line in zip(findings, lines, strict=True):
        diagnostic = json.loads(line)
        Draft4Validator(SCHEMA).validate(diagnostic)
        assert diagnostic["message"] == full_message(finding)
        assert diagnostic["location"] == {
            "path": finding.path,
            "range": {"start": {"line": 7}},
        }


@pytest.mark.parametrize(
    ("level", "severity"), [("error", "ERROR"), ("warning", "WARNING"), ("note", "INFO")]
)
def test_each_level_has_its_severity(level: str, severity: str) -> None:
    rendered = rdjsonl.render(report(replace(PLAIN, level=Level(level))))
    assert json.loads(rendered)["severity"] == severity


def test_a_report_without_findings_is_empty() -> None:
    assert rdjsonl.render(report()) == ""
