"""Diagnostics, as reviewdog's own schema has them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hostile import PLAIN, each_text, everywhere, report
from jsonschema import Draft4Validator

from generator.report import rdjsonl
from generator.report.finding import Level

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/reviewdog-diagnostic.json").read_text())


@each_text
def test_every_finding_is_a_line_of_its_own(text: str) -> None:
    findings = list(everywhere(text))
    lines = rdjsonl.render(report(*findings)).split("\n")
    for finding, line in zip(findings, lines, strict=True):
        read = json.loads(line)
        Draft4Validator(SCHEMA).validate(read)
        assert read["location"] == {"path": finding.path, "range": {"start": {"line": 7}}}
        assert read["message"] == "\n".join(
            [f"{finding.file}: {finding.message}", *finding.details]
        )


@pytest.mark.parametrize(
    ("level", "severity"), [("error", "ERROR"), ("warning", "WARNING"), ("note", "INFO")]
)
def test_each_level_has_its_severity(level: str, severity: str) -> None:
    assert (
        json.loads(rdjsonl.render(report(replace(PLAIN, level=Level(level)))))["severity"]
        == severity
    )


def test_no_finding_is_no_line() -> None:
    assert rdjsonl.render(report()) == ""
