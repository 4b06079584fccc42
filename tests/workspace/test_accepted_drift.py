"""Drift that a team accepts until a date."""

from datetime import date
from pathlib import Path

import pytest

from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.report.finding import Finding, Level
from generator.workspace.accepted_drift import AcceptedDrift, accepted_files, settle
from generator.workspace.accepted_file import AcceptedFile

TODAY = date(2026, 6, 15)
DRIFT = Finding(
    "edited", Level.ERROR, "was edited", "mila", "deploy/ssh/mila.conf", "deploy/ssh/mila.conf", 3
)
SHA256 = "a" * 64
ENTRY = (
    "accepted:\n  - { path: ssh/mila.conf, cause: edited, reason: a trial, until: %s,"
    f" sha256: {SHA256} }}\n"
)


def accepted_list(text: str) -> AcceptedDrift:
    root = yaml_document.parse(text.encode(), "accepted.yaml")
    entries = validate.validated(AcceptedFile, root, "accepted.yaml").accepted
    return AcceptedDrift(Path("deploy"), entries, root)


def settled(
    text: str, *findings: Finding, sha256: str = SHA256
) -> list[tuple[str, Level, str, int]]:
    digests = {finding.file: sha256 for finding in findings}
    settled_findings = settle(findings, accepted_list(text), digests, TODAY)
    return [(item.rule, item.level, item.message, item.line) for item in settled_findings]


@pytest.mark.parametrize("until", ["2026-06-15", "2026-12-12"])
def test_drift_is_a_note_until_the_day_is_over(until: str) -> None:
    assert settled(ENTRY % until, DRIFT) == [
        ("edited", Level.NOTE, f"was edited; accepted until {until}: a trial", 3)
    ]


def test_after_that_day_it_is_drift_again_and_the_entry_is_named() -> None:
    assert settled(ENTRY % "2026-06-14", DRIFT) == [
        ("edited", Level.ERROR, "was edited", 3),
        (
            "expired",
            Level.ERROR,
            "deploy/ssh/mila.conf (edited) was accepted until 2026-06-14: a trial",
            2,
        ),
    ]


@pytest.mark.parametrize("until", ["2026-06-14", "2026-12-12"])
@pytest.mark.parametrize("cause", [None, "stale"])
def test_an_entry_that_nothing_needs_is_named(until: str, cause: str | None) -> None:
    findings = []
    if cause:
        findings.append(Finding(cause, Level.ERROR, "x", "mila", DRIFT.file, DRIFT.path))
    unused = "deploy/ssh/mila.conf (edited) does not drift; delete this entry"
    results = settled(ENTRY % until, *findings)
    assert results[-1] == ("unused", Level.ERROR, unused, 2)
    # The entry accepts edits alone: drift of the same file for another cause stays an error.
    assert [level for _, level, _, _ in results] == [Level.ERROR] * (1 + len(findings))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            ENTRY % "soon",
            "accepted.yaml:2: accepted.0.until: is not a date; write it as YYYY-MM-DD",
            id="no date",
        ),
        pytest.param(
            # Pydantic takes a whole number for a date: seconds since 1970.
            ENTRY % "86400",
            "accepted.yaml:2: accepted.0.until: is not a date; write it as YYYY-MM-DD",
            id="seconds since 1970",
        ),
        pytest.param(
            ENTRY % "2026-06-15T12:00:00",
            "accepted.yaml:2: accepted.0.until: is not a date; write it as YYYY-MM-DD",
            id="a time",
        ),
        pytest.param(
            "accepted:\n  - { path: a, cause: edited, until: 2026-01-01 }",
            "accepted.yaml:2: accepted.0.reason: is missing",
            id="no reason",
        ),
        pytest.param(
            "accepted:\n  - { path: a, cause: broken, reason: b, until: 2026-01-01 }",
            "accepted.yaml:2: accepted.0.cause: ",
            id="an unknown cause",
        ),
        pytest.param(
            "accepted:\n  - { path: a, cause: edited, reason: b, until: 2026-01-01 }",
            "accepted.yaml:2: accepted.0: has no sha256 of the file; delete it, then run:"
            " gen accept a --until 2026-01-01 --reason TEXT",
            id="no digest",
        ),
    ],
)
def test_an_entry_with_a_fault_is_refused(text: str, fault: str) -> None:
    with pytest.raises(GenError) as caught:
        settled(text)
    assert str(caught.value).startswith(fault)


def test_a_file_is_spared_until_the_day_is_over() -> None:
    accepted = [accepted_list(ENTRY % "2026-06-15")]
    assert accepted_files(accepted, TODAY) == {("deploy/ssh/mila.conf", "edited"): SHA256}
    assert accepted_files(accepted, date(2026, 6, 16)) == {}
    assert accepted_files([], TODAY) == {}


def test_another_content_than_the_accepted_one_is_drift() -> None:
    assert settled(ENTRY % "2026-06-15", DRIFT, sha256="b" * 64) == [
        ("edited", Level.ERROR, "was edited", 3),
        (
            "expired",
            Level.ERROR,
            "deploy/ssh/mila.conf (edited) is another file than the accepted one; restore it, or"
            " accept this one with: gen accept deploy/ssh/mila.conf --until DATE --reason TEXT",
            2,
        ),
    ]


def test_an_acceptance_for_more_than_180_days_is_refused() -> None:
    assert accepted_files([accepted_list(ENTRY % "2026-12-13")], TODAY) == {}
    assert settled(ENTRY % "2026-12-13", DRIFT) == [
        ("edited", Level.ERROR, "was edited", 3),
        (
            "refused",
            Level.ERROR,
            "deploy/ssh/mila.conf (edited) is accepted for more than 180 days; end it sooner",
            2,
        ),
    ]


def test_nothing_is_called_unused_while_something_could_not_be_compared() -> None:
    # The file of the entry belongs to the site whose lock is refused, so gen did not look at it. To
    # call the entry unused would make the user delete an entry that is needed.
    refused = Finding("refused", Level.ERROR, "x", "mila", ".gen/mila.lock", ".gen/mila.lock")
    assert [rule for rule, *_ in settled(ENTRY % "2026-12-12", refused)] == ["refused"]
