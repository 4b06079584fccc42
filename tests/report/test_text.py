"""A report for a terminal: one line for each finding, with its details indented below."""

from dataclasses import replace

import pytest
from hostile import PLAIN, each_text, everywhere, report

from generator.report import text as text_format


def test_a_finding_begins_with_a_place_that_an_editor_can_open() -> None:
    finding = replace(PLAIN, path="ssh/mila.conf", details=("a", "b"))
    assert text_format.render(report(finding)) == (
        "ssh/mila.conf:7: stale: is not what it was\n    a\n    b"
    )


def test_the_place_comes_last_if_it_is_in_another_file() -> None:
    assert text_format.render(report(PLAIN)) == (
        "ssh/mila.conf: stale: is not what it was (site_specs/mila.yaml:7)"
    )


@pytest.mark.parametrize(
    ("patch", "line"),
    [
        pytest.param(
            "diff --git a/ssh/mila.conf b/ssh/mila.conf\n@@ -1 +1 @@\n-a\n+diff --git\n",
            "patch: 1 generated file changes (ssh/mila.conf); --format markdown shows it",
            id="one file",
        ),
        pytest.param(
            "diff --git a/y b/y\n@@ -1 +1 @@\n-a\n+b\ndiff --git a/x b/x\n",
            "patch: 2 generated files change (y, x); --format markdown shows it",
            id="two files",
        ),
    ],
)
def test_the_last_line_counts_and_names_the_files_of_a_patch(patch: str, line: str) -> None:
    assert text_format.render(report(PLAIN, patch=patch)).splitlines()[-1] == line


def test_a_report_without_findings_is_empty() -> None:
    assert text_format.render(report()) == ""


@each_text
# An editor or a grep takes each line `PATH:LINE: …` for a finding.
def test_no_text_looks_like_another_finding(text: str) -> None:
    # Every line but the first of a finding is indented.
    for finding in everywhere(text):
        # `splitlines` would also split at characters that do not end a line for a terminal.
        first, *details = text_format.render(report(finding)).split("\n")
        assert first.startswith("ssh/")
        assert all(line.startswith("    ") for line in details)


@each_text
def test_no_control_character_reaches_the_terminal(text: str) -> None:
    rendered = text_format.render(report(*everywhere(text), patch=f"diff --git a/x b/{text}"))
    assert rendered.replace("\n", "").isprintable()
