"""SARIF, as its own schema has it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hostile import PLAIN, each_text, everywhere, report
from jsonschema import Draft4Validator

from generator.report import sarif
from generator.report.finding import Finding

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/sarif-2.1.0.json").read_text())
VALIDATOR = Draft4Validator(SCHEMA, format_checker=Draft4Validator.FORMAT_CHECKER)


def run(*findings: Finding) -> Any:
    log = json.loads(sarif.render(report(*findings)))
    VALIDATOR.validate(log)
    return log["runs"][0]


def fingerprint(finding: Finding) -> str:
    return str(run(finding)["results"][0]["partialFingerprints"]["finding/v1"])


@each_text
def test_every_text_comes_out_as_it_went_in(text: str) -> None:
    findings = list(everywhere(text))
    for finding, result in zip(findings, run(*findings)["results"], strict=True):
        said = "\n".join([f"{finding.file}: {finding.message}", *finding.details])
        assert result["message"] == {"text": said}


@each_text
def test_a_path_is_an_address_that_leads_to_the_file(text: str) -> None:
    path = f"ssh/{text}.conf"
    [result] = run(replace(PLAIN, path=path))["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    address = urlsplit(place["uri"])
    assert (address.scheme, address.netloc, address.query, address.fragment) == ("", "", "", "")
    assert unquote(address.path) == path
    assert place["uri"].isascii()


def test_a_rule_is_listed_once_and_found_by_its_number() -> None:
    found = run(PLAIN, replace(PLAIN, rule="edited"), replace(PLAIN, line=9))
    rules = found["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["edited", "stale"]
    assert [rules[result["ruleIndex"]]["id"] for result in found["results"]] == [
        "stale",
        "edited",
        "stale",
    ]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(PLAIN, line=99), id="line"),
        pytest.param(replace(PLAIN, message="differs"), id="words"),
        pytest.param(replace(PLAIN, details=("x",)), id="details"),
    ],
)
def test_a_fingerprint_stays_when_something_else_changes(other: Finding) -> None:
    assert fingerprint(other) == fingerprint(PLAIN)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(PLAIN, rule="edited"), id="rule"),
        pytest.param(replace(PLAIN, site="musica"), id="site"),
        pytest.param(replace(PLAIN, file="ssh/other.conf"), id="file"),
        pytest.param(replace(PLAIN, key="hosts.mila.port"), id="key"),
        pytest.param(replace(PLAIN, site="milassh/mila.conf", file=""), id="where one part ends"),
    ],
)
def test_a_fingerprint_differs_when_it_is_something_else(other: Finding) -> None:
    assert fingerprint(other) != fingerprint(PLAIN)


def test_no_finding_is_a_log_too() -> None:
    assert run()["results"] == []
