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
ENTRY = "accepted:\n  - { path: ssh/mila.conf, cause: edited, reason: a trial, until: %s }\n"


def settled(text: str, *findings: Finding) -> list[tuple[str, Level, str, int]]:
    root = yaml_document.parse(text.encode(), "accepted.yaml")
    accepted = AcceptedDrift(validate.validated(AcceptedFile, root, "accepted.yaml").accepted, root)
    settled_findings = settle(findings, accepted, Path("deploy"), TODAY)
    return [(item.rule, item.level, item.message, item.line) for item in settled_findings]


@pytest.mark.parametrize("until", ["2026-06-15", "2026-12-31"])
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


@pytest.mark.parametrize("until", ["2026-06-14", "2026-12-31"])
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
    ],
)
def test_an_entry_with_a_fault_is_refused(text: str, fault: str) -> None:
    with pytest.raises(GenError) as caught:
        settled(text)
    assert str(caught.value).startswith(fault)


def test_a_file_is_spared_until_the_day_is_over() -> None:
    root = yaml_document.parse((ENTRY % "2026-06-15").encode(), "accepted.yaml")
    accepted = AcceptedDrift(validate.validated(AcceptedFile, root, "accepted.yaml").accepted, root)
    assert accepted_files(accepted, Path("deploy"), TODAY) == {("deploy/ssh/mila.conf", "edited")}
    assert accepted_files(accepted, Path("deploy"), date(2026, 6, 16)) == set()
    assert accepted_files(None, Path("deploy"), TODAY) == set()


def test_nothing_is_called_unused_while_something_could_not_be_compared() -> None:
    # The file of the entry belongs to the site whose lock is refused, so gen did not look at it. To
    # call the entry unused would make the user delete an entry that is needed.
    refused = Finding("refused", Level.ERROR, "x", "mila", ".gen/mila.lock", ".gen/mila.lock")
    assert [rule for rule, *_ in settled(ENTRY % "2026-12-31", refused)] == ["refused"]
