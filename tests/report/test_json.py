"""A report for programs: every finding with its texts unchanged."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hostile import PLAIN, each_text, everywhere, report
from jsonschema import Draft202012Validator

from generator.codec import FORMAT_VERSION
from generator.report import json as json_format
from generator.report.finding import Finding, Level, Report
from generator.schema.meta import Weight
from generator.workspace.drift import Cause

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/report.schema.json").read_text())


def test_the_schema_is_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_names_every_field() -> None:
    finding = SCHEMA["$defs"]["finding"]
    assert set(finding["properties"]) == set(Finding.__dataclass_fields__)
    assert set(SCHEMA["properties"]) == {*Report.__dataclass_fields__, "format_version", "counts"}


def constants(part: dict[str, Any]) -> set[str]:
    return {rule["const"] for rule in part["oneOf"]}


def test_the_schema_names_every_rule_and_level() -> None:
    parts = SCHEMA["$defs"]
    assert constants(parts["cause"]) == {*Cause, "expired", "unused", "refused"}
    assert constants(parts["weight"]) == {*Weight, "unsourced", "aged", "refused"}
    assert parts["finding"]["properties"]["level"]["enum"] == list(Level)


def test_the_schema_describes_every_part() -> None:
    finding = SCHEMA["$defs"]["finding"]
    for part in [SCHEMA, *SCHEMA["properties"].values(), *finding["properties"].values()]:
        assert "$ref" in part or {"title", "description"} <= set(part)


def test_the_schema_allows_no_further_key() -> None:
    # A program that validates a report then learns of a new key by its own tests, before a user
    # does.
    assert SCHEMA["additionalProperties"] is False
    assert SCHEMA["$defs"]["finding"]["additionalProperties"] is False


@each_text
def test_every_text_stays_as_it_is(text: str) -> None:
    original = report(*everywhere(text), patch=text)
    document = json.loads(json_format.render(original))
    assert document.pop("format_version") == FORMAT_VERSION
    assert document.pop("counts") == {"stale": 4}
    # A tuple becomes a list in JSON.
    assert document == json.loads(json.dumps(asdict(original)))


@each_text
def test_no_control_character_reaches_the_terminal(text: str) -> None:
    rendered = json_format.render(report(*everywhere(text), patch=text))
    assert rendered.replace("\n", "").isprintable()


def test_a_report_without_findings_is_valid() -> None:
    document = json.loads(json_format.render(report()))
    Draft202012Validator(SCHEMA).validate(document)
    assert (document["findings"], document["counts"]) == ([], {})


def test_a_report_of_drift_is_valid() -> None:
    validator = Draft202012Validator(SCHEMA)
    assert validator.is_valid(json.loads(json_format.render(report(PLAIN))))


def test_a_review_with_a_cause_of_drift_is_not_valid() -> None:
    validator = Draft202012Validator(SCHEMA)
    # A report with a patch is a review; causes of drift are for `gen check`.
    assert not validator.is_valid(json.loads(json_format.render(report(PLAIN, patch="a patch"))))
