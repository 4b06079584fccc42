"""Changes to a repository of five sites, and the drift that `gen check` and `gen diff` report.

Each file in `histories/` has the commands of one case and the report of gen side by side.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import transcript
from history import HISTORIES, git
from report_readers import (
    REPORT,
    codequality_places,
    fingerprints,
    github_places,
    rdjsonl_places,
    sarif_places,
)
from running import Gen
from transcript import Step

from generator.report.format import Format

FILES = sorted(HISTORIES.glob("*.txt"))
# `FILE:LINE: RULE: MESSAGE` or `FILE: RULE: MESSAGE (PLACE)`.
FINDING = re.compile(r"(?P<file>\S+?)(:\d+)?: (?P<rule>[a-z]+): ")


def step_of(path: Path, command: str) -> Step:
    [step] = [step for step in transcript.read(path) if step.command == command]
    return step


def status_of_diff(path: Path) -> str:
    expected = step_of(path, "gen diff").expected
    return expected[-1] if expected else "[0]"


def histories(status: str = "") -> pytest.MarkDecorator:
    """Run a test for each history, or for those in which `gen diff` has an exit status."""
    rows = []
    for path in FILES:
        if status in ("", status_of_diff(path)):
            rows.append(pytest.param(path, id=path.stem))
    return pytest.mark.parametrize("path", rows)


def change_repository(path: Path, gen: Gen) -> None:
    """Run the commands of a history that come before the first report."""
    for step in transcript.read(path):
        if step.command == "gen check":
            return
        assert transcript.run(step, gen) == [], step.command


@histories()
def test_a_history_is_reported_as_its_file_says(reading_gen: Gen, path: Path) -> None:
    change_repository(path, reading_gen)
    reports = [step for step in transcript.read(path) if step.command.startswith("gen ")]
    outputs = [(step, transcript.run(step, reading_gen)) for step in reports]
    if transcript.UPDATE:
        transcript.update(path, outputs)
    for step, output in outputs:
        assert transcript.matches(step.expected, output), "\n".join([step.command, *output])


@histories()
def test_every_format_reports_the_same_and_is_valid_for_its_readers(
    reading_gen: Gen, path: Path
) -> None:
    change_repository(path, reading_gen)
    results = {form: reading_gen("check", "--format", form) for form in Format}
    assert len({(result.status, result.err) for result in results.values()}) == 1
    report = json.loads(results[Format.JSON].out)
    REPORT.validate(report)
    findings = report["findings"]
    assert sorted(f"{item['rule']} {item['file']}" for item in findings) == expected_findings(path)
    # Each format has a schema or a parser of its own, made by its reader and not by gen.
    locations = [(item["path"], item["line"]) for item in findings]
    assert sarif_places(results[Format.SARIF].out) == locations
    assert rdjsonl_places(results[Format.RDJSONL].out) == locations
    assert codequality_places(results[Format.CODEQUALITY].out) == locations
    assert [entry[:2] for entry in github_places(results[Format.GITHUB].out)] == locations
    assert len(set(fingerprints(results[Format.SARIF].out))) == len(findings)
    for item in findings:
        shown = f"- **{item['rule']}** `{item['file']}`"
        if item["rule"] == "stale" and shown not in results[Format.MARKDOWN].out:
            # One item stands for the files that a change of a spec made stale, and lists them.
            shown = f"\n  - `{item['file']}`\n"
        assert shown in results[Format.MARKDOWN].out
        assert f"{item['rule']}: {item['message']}" in results[Format.TEXT].out


def expected_findings(path: Path) -> list[str]:
    """Return `RULE FILE` of each finding that the file of a history shows."""
    findings = []
    for line in step_of(path, "gen check").expected:
        match = FINDING.match(line)
        if match and not line.startswith("!"):
            findings.append(f"{match['rule']} {match['file']}")
    return sorted(findings)


def remaining_drift(gen: Gen) -> list[dict[str, Any]]:
    """Return the findings that fail a check, without those about accepted drift."""
    remaining = []
    for item in json.loads(gen("check", "--format", "json").out)["findings"]:
        if item["level"] == "error" and item["rule"] not in ("unused", "expired"):
            remaining.append(item)
    return remaining


@histories(status="[1]")
def test_the_patch_ends_the_drift(reading_gen: Gen, path: Path) -> None:
    change_repository(path, reading_gen)
    git("apply", "-", stdin=reading_gen("diff").out)
    assert remaining_drift(reading_gen) == []
    assert reading_gen("diff").out == ""


@histories(status="[1]")
def test_to_regenerate_all_sites_ends_the_drift(
    writing_gen: Gen, reading_gen: Gen, path: Path
) -> None:
    change_repository(path, writing_gen)
    assert writing_gen("site", "--all", "--force").status == 0
    assert remaining_drift(reading_gen) == []
    assert reading_gen("diff").out == ""


@histories(status="[2]")
def test_to_regenerate_all_sites_writes_nothing_if_one_cannot_be_compared(
    reading_gen: Gen, path: Path
) -> None:
    change_repository(path, reading_gen)
    result = reading_gen("site", "--all", "--force")
    assert result.status == 2
    assert result.err.endswith("Nothing was written.\n")
