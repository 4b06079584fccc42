"""Stale files are one finding for each spec and reason, where a user reads the report."""

from dataclasses import replace

import pytest

from generator.report import codequality, github, json, markdown, rdjsonl, sarif, text
from generator.report.finding import Finding, Level, Report
from generator.report.grouping import grouped

PORT = Finding(
    rule="stale",
    level=Level.ERROR,
    message="differs from the compiled spec: the spec (hosts.lab.port) changed",
    site="lab",
    file="a/ssh/lab.conf",
    path="site_specs/lab.yaml",
    line=7,
    key="hosts.lab.port",
)


def in_directories(number: int, finding: Finding = PORT) -> list[Finding]:
    files = []
    for index in range(number):
        files.append(replace(finding, file=f"team{index}/ssh/lab.conf"))
    return files


def test_the_files_of_one_spec_are_one_finding_that_lists_them() -> None:
    [group] = grouped(in_directories(3))
    assert group.file == group.path == "site_specs/lab.yaml"
    assert (group.line, group.level) == (7, Level.ERROR)
    assert group.message == (
        "3 stale files; each differs from the compiled spec: the spec (hosts.lab.port) changed"
    )
    assert group.details == ("team0/ssh/lab.conf", "team1/ssh/lab.conf", "team2/ssh/lab.conf")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(PORT, rule="edited"), id="another cause"),
        pytest.param(replace(PORT, message="does not exist yet"), id="another reason"),
        pytest.param(replace(PORT, path="site_specs/other.yaml"), id="another spec"),
        pytest.param(replace(PORT, level=Level.NOTE), id="accepted"),
        pytest.param(replace(PORT, details=("x",)), id="other keys"),
    ],
)
def test_everything_else_stays_by_itself(other: Finding) -> None:
    assert grouped([PORT, other]) == [PORT, other]


def test_edited_files_are_never_grouped() -> None:
    edited = in_directories(3, replace(PORT, rule="edited"))
    assert grouped(edited) == edited


def test_files_that_another_gen_makes_stale_are_grouped_by_site() -> None:
    stale = []
    for site in ("lab", "moon"):
        for name in ("ssh", "env"):
            file = f"{site}/{name}"
            stale.append(replace(PORT, site=site, file=file, path=file, message="the templates"))
    assert [group.details for group in grouped(stale)] == [
        ("lab/ssh", "lab/env"),
        ("moon/ssh", "moon/env"),
    ]


def test_a_group_leaves_room_for_other_causes_in_annotations_and_comments() -> None:
    edited = replace(PORT, rule="edited", file="b", path="b", message="was edited by hand")
    report = Report("drift", 400, (*in_directories(400), edited))
    lines = github.render(report).splitlines()
    assert len(lines) == 2
    assert "team399/ssh/lab.conf" in lines[0]
    assert "was edited by hand" in lines[1]
    comment = markdown.render(report)
    assert "400 stale" in comment
    assert "was edited by hand" in comment


@pytest.mark.parametrize("form", [codequality, json, rdjsonl, sarif, text])
def test_programs_get_every_file(form: object) -> None:
    report = Report("drift", 3, tuple(in_directories(3)))
    output = form.render(report)  # type: ignore[attr-defined]
    for number in range(3):
        assert f"team{number}/ssh/lab.conf" in output
