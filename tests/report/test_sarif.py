"""SARIF in the form of its own schema."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hostile import PLAIN, each_text, everywhere, report
from jsonschema import Draft4Validator

from generator.report import sarif
from generator.report.finding import Finding, full_message

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/sarif-2.1.0.json").read_text())
# Without a format checker, `format: uri-reference` of the schema would accept any text.
VALIDATOR = Draft4Validator(SCHEMA, format_checker=Draft4Validator.FORMAT_CHECKER)


def run(*findings: Finding) -> Any:
    log = json.loads(sarif.render(report(*findings)))
    VALIDATOR.validate(log)
    return log["runs"][0]


def fingerprint(finding: Finding) -> str:
    return str(run(finding)["results"][0]["partialFingerprints"]["finding/v1"])


@each_text
def test_every_message_is_one_text(text: str) -> None:
    findings = list(everywhere(text))
    for finding, result in zip(findings, run(*findings)["results"], strict=True):
        assert result["message"] == {"text": full_message(finding)}


@each_text
def test_a_path_is_a_relative_uri_of_the_file(text: str) -> None:
    path = f"ssh/{text}.conf"
    [result] = run(replace(PLAIN, path=path))["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    # A viewer would take a scheme, a host, a query or a fragment for another place.
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    assert unquote(parts.path, errors="surrogateescape") == path
    assert uri.isascii()


def test_every_rule_is_listed_once_and_referred_to_by_its_number() -> None:
    log = run(PLAIN, replace(PLAIN, rule="edited"), replace(PLAIN, line=9))
    edited, stale = log["tool"]["driver"]["rules"]
    assert (edited["id"], stale["id"]) == ("edited", "stale")
    first, second, third = log["results"]
    assert (first["ruleIndex"], second["ruleIndex"], third["ruleIndex"]) == (1, 0, 1)


@pytest.mark.parametrize(
    "changed",
    [
        # GitHub code scanning takes a finding with another fingerprint for a new alert, and closes
        # the old one. Drift that a commit above it moves by a line is the same drift.
        pytest.param(replace(PLAIN, line=99), id="line"),
        pytest.param(replace(PLAIN, message="differs"), id="message"),
        pytest.param(replace(PLAIN, details=("x",)), id="details"),
    ],
)
def test_a_fingerprint_of_drift_does_not_depend_on(changed: Finding) -> None:
    assert fingerprint(changed) == fingerprint(PLAIN)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(replace(PLAIN, rule="edited"), id="rule"),
        pytest.param(replace(PLAIN, site="musica"), id="site"),
        pytest.param(replace(PLAIN, file="ssh/other.conf"), id="file"),
        pytest.param(replace(PLAIN, key="hosts.mila.port"), id="key"),
        # Parts that are joined without a separator would give the same text here.
        pytest.param(replace(PLAIN, site="milassh/mila.conf", file=""), id="the end of a part"),
    ],
)
def test_a_fingerprint_depends_on(changed: Finding) -> None:
    assert fingerprint(changed) != fingerprint(PLAIN)


def test_a_log_without_findings_is_valid() -> None:
    assert run()["results"] == []
