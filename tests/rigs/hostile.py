"""Texts that are markup or a command to a reader of reports, and findings with them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest

from generator.report.finding import Finding, Level, Report

PLAIN = Finding(
    "stale", Level.ERROR, "is not what it was", "mila", "ssh/mila.conf", "site_specs/mila.yaml", 7
)

# Each is a text that GitHub, a terminal, Markdown or XML would take for something else.
TEXTS = {
    "a line break": "one\ntwo",
    "an empty line": "one\n\n# two",
    "line breaks of Windows": "one\r\n\r\ntwo",
    "a carriage return": "one\rtwo",
    "percent signs": "100%0A%25",
    "colons": "x::error file=a,line=1::forged",
    "a command of a workflow": "\n::error::forged",
    "a command that is stopped": "::stop-commands::x",
    "commas": "a,line=1,title=b",
    "backticks": "a`b``c```d",
    "backticks at both ends": "`x`",
    "two spaces, and backticks that could pair with theirs": "a  b @octocat`x c",
    "a fence": "\n```\n</details>\n",
    "a longer fence": "\n``````````\n# x\n",
    "a fence of tildes": "\n~~~\n",
    "the end of a comment": "--> <!-- gen:drift -->",
    "mentions": "@octocat @org/team",
    "a script": "<script>alert(1)</script>",
    "an image": "<img src=x onerror=alert(1)> ![x](https://tracker.example/x.png)",
    "the end of the details": "</details></summary>",
    "a link": "[here](https://evil.example) https://evil.example www.evil.example",
    "a reference": "#123 GH-1 mila/docs#4 0123456789abcdef0123456789abcdef01234567",
    "emphasis": "**bold** _it_ ~~gone~~ $x^2$ | a | b |",
    "a list": "\n- item\n1. item",
    "a heading": "\n===\n# h",
    "an entity": "&lt;script&gt; &#64;octocat",
    "a backslash": "\\` \\",
    "spaces": "  x  ",
    "nothing": "",
    "quotes": "\"'\u201c\u201d",
    "other scripts": "日本語 🦊 ÄÖÜ",
    "a command of a terminal": "\x1b]0;title\x07\x1b[2J",
    "text turned round": "\u202etxt.exe",
    "bytes that are not UTF-8": "\udcff",
}
"""By a name for each."""


def everywhere(text: str) -> Iterator[Finding]:
    """Yield findings with a text in each of their fields."""
    yield replace(PLAIN, message=text)
    yield replace(PLAIN, details=(text, text))
    yield replace(PLAIN, file=f"ssh/{text}.conf", path=f"ssh/{text}.conf")
    yield replace(PLAIN, key=text, site=text)


def report(*findings: Finding, patch: str = "") -> Report:
    """Return a report of findings: a review if there is a patch."""
    kind: Literal["drift", "review"] = "review" if patch else "drift"
    return Report(kind, len(findings), findings, patch)


each_text = pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text in TEXTS.items()]
)
