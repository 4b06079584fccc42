"""Workflow commands: one line for each finding, whatever text it holds."""

import re
from dataclasses import replace

import pytest
from hostile import PLAIN, each_text, everywhere, report

from generator.formatting import printable
from generator.report import github
from generator.report.finding import Level, full_message

COMMAND = re.compile(
    r"::(error|warning|notice) file=([^:,\r\n]*),line=([0-9]+),title=([^:,\r\n]*)::([^\r\n]*)"
)


def read(line: str) -> tuple[str, str, int, str, str]:
    """Read a command as GitHub's runner does."""
    match = COMMAND.fullmatch(line)
    assert match, line
    level, file, number, title, text = match.groups()
    return level, unescaped_property(file), int(number), unescaped_property(title), unescaped(text)


def unescaped_property(text: str) -> str:
    return unescaped(text.replace("%3A", ":").replace("%2C", ","))


# The reverse of escapeData in actions/toolkit, packages/core/src/command.ts.
def unescaped(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


@each_text
def test_no_text_ends_its_command_or_starts_another(text: str) -> None:
    findings = list(everywhere(text))
    # `splitlines` would also split at characters that do not end a line for GitHub's runner.
    lines = github.render(report(*findings)).split("\n")
    for finding, line in zip(findings, lines, strict=True):
        path = printable(finding.path)
        assert read(line) == ("error", path, 7, "gen: stale", full_message(finding))


@each_text
def test_no_control_character_reaches_the_log(text: str) -> None:
    assert github.render(report(*everywhere(text))).replace("\n", "").isprintable()


def test_a_line_break_in_a_file_name_starts_no_command() -> None:
    # A contributor chooses file names; a forged error could blame, or hide the real one.
    name = "a\n::error::forged"
    [command] = github.render(report(replace(PLAIN, file=name, path=name))).split("\n")
    assert command == (
        "::error file=a\\u000a%3A%3Aerror%3A%3Aforged,line=7,title=gen%3A stale"
        "::a\\u000a::error::forged: is not what it was"
    )


@pytest.mark.parametrize(
    ("level", "command"), [("error", "error"), ("warning", "warning"), ("note", "notice")]
)
def test_each_level_has_its_command(level: str, command: str) -> None:
    rendered = github.render(report(replace(PLAIN, level=Level(level))))
    assert read(rendered)[0] == command


def test_a_report_without_findings_is_empty() -> None:
    assert github.render(report()) == ""
