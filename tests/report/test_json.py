"""A report for programs: what was found, and nothing but that."""

import json
from dataclasses import asdict
from pathlib import Path

from hostile import PLAIN, each_text, everywhere, report
from jsonschema import Draft202012Validator

from generator.report import json as programs
from generator.report.finding import FORMAT_VERSION, Finding, Level, Report
from generator.review.facts import Weight
from generator.workspace.drift import Cause

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/report.schema.json").read_text())


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_knows_every_field_rule_and_level() -> None:
    parts = SCHEMA["$defs"]
    assert set(parts["finding"]["properties"]) == set(Finding.__dataclass_fields__)
    assert set(SCHEMA["properties"]) == {*Report.__dataclass_fields__, "format_version", "counts"}
    assert {rule["const"] for rule in parts["cause"]["oneOf"]} == {
        *Cause,
        "expired",
        "unused",
        "refused",
    }
    assert {rule["const"] for rule in parts["weight"]["oneOf"]} == {
        *Weight,
        "unsourced",
        "aged",
        "refused",
    }
    assert parts["finding"]["properties"]["level"]["enum"] == list(Level)


def test_the_schema_describes_everything_and_leaves_nothing_open() -> None:
    described = [
        SCHEMA,
        *SCHEMA["properties"].values(),
        *SCHEMA["$defs"]["finding"]["properties"].values(),
    ]
    assert all("$ref" in part or {"title", "description"} <= set(part) for part in described)
    assert SCHEMA["additionalProperties"] is False
    assert SCHEMA["$defs"]["finding"]["additionalProperties"] is False


@each_text
def test_every_text_comes_out_as_it_went_in(text: str) -> None:
    found = report(*everywhere(text), effect=text)
    read = json.loads(programs.render(found))
    assert read.pop("format_version") == FORMAT_VERSION
    assert read.pop("counts") == {"stale": 4}
    assert read == json.loads(json.dumps(asdict(found)))


def test_no_finding_is_a_report_too() -> None:
    read = json.loads(programs.render(report()))
    Draft202012Validator(SCHEMA).validate(read)
    assert (read["findings"], read["counts"]) == ([], {})


def test_a_report_is_one_of_drift_or_of_a_proposal() -> None:
    validator = Draft202012Validator(SCHEMA)
    assert validator.is_valid(json.loads(programs.render(report(PLAIN))))
    assert not validator.is_valid(json.loads(programs.render(report(PLAIN, effect="a patch"))))
