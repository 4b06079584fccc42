"""A report for a terminal: a line for each finding, and what belongs to it below."""

from dataclasses import replace

from hostile import PLAIN, each_text, everywhere, report

from generator.report import text as terminal


def test_a_finding_is_a_line_that_an_editor_can_follow() -> None:
    here = replace(PLAIN, path="ssh/mila.conf", details=("a", "b"))
    assert (
        terminal.render(report(here)) == "ssh/mila.conf:7: stale: is not what it was\n    a\n    b"
    )


def test_where_to_look_comes_behind_when_it_is_another_file() -> None:
    assert (
        terminal.render(report(PLAIN))
        == "ssh/mila.conf: stale: is not what it was (site_specs/mila.yaml:7)"
    )


def test_an_effect_is_counted_and_its_files_are_named() -> None:
    effect = "diff --git a/ssh/mila.conf b/ssh/mila.conf\n@@ -1 +1 @@\n-a\n+diff --git\ndiff --git a/x b/x\n"
    assert terminal.render(report(PLAIN, effect=effect)).splitlines()[-1] == (
        "effect: 2 generated files change (ssh/mila.conf, x); --format markdown shows how"
    )


def test_no_finding_is_no_line() -> None:
    assert terminal.render(report()) == ""


@each_text
def test_no_text_passes_for_a_finding_of_its_own(text: str) -> None:
    """Everything behind the first line of a finding is set in."""
    for finding in everywhere(text):
        first, *others = terminal.render(report(finding)).splitlines()
        assert first.startswith("ssh/")
        assert all(line.startswith("    ") for line in others)
