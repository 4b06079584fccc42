"""Workflow commands: a line for each finding, whatever is in it."""

import re
from dataclasses import replace

import pytest
from hostile import PLAIN, each_text, everywhere, report

from generator.report import github
from generator.report.finding import Finding, Level

COMMAND = re.compile(
    r"::(error|warning|notice) file=([^:,\r\n]*),line=([0-9]+),title=([^:,\r\n]*)::([^\r\n]*)"
)


def read(line: str) -> tuple[str, str, int, str, str]:
    """Read a command as GitHub's runner does."""
    match = COMMAND.fullmatch(line)
    assert match, line
    level, file, number, title, text = match.groups()
    return level, _property(file), int(number), _property(title), _data(text)


def _property(text: str) -> str:
    return _data(text.replace("%3A", ":").replace("%2C", ","))


def _data(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def said(finding: Finding) -> str:
    return "\n".join([f"{finding.file}: {finding.message}", *finding.details])


@each_text
def test_nothing_in_a_finding_ends_its_command_or_starts_another(text: str) -> None:
    findings = list(everywhere(text))
    lines = github.render(report(*findings)).split("\n")
    assert [read(line) for line in lines] == [
        ("error", finding.path, 7, "gen: stale", said(finding)) for finding in findings
    ]


@pytest.mark.parametrize(
    ("level", "command"), [("error", "error"), ("warning", "warning"), ("note", "notice")]
)
def test_each_level_has_its_command(level: str, command: str) -> None:
    assert read(github.render(report(replace(PLAIN, level=Level(level)))))[0] == command


def test_no_finding_is_no_line() -> None:
    assert github.render(report()) == ""
