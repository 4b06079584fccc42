"""A comment on a pull request, read by a CommonMark parser: foreign text is never markup."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hostile import PLAIN, TEXTS, each_text, everywhere, report
from markdown_it import MarkdownIt
from markdown_it.token import Token

from generator.report import markdown
from generator.report.finding import Finding, Report

# GitHub refuses a longer comment.
MAX_CHARACTERS = 65_536
# The tokens of markdown-it that the markup of gen gives. A text of a finding that gave another, for
# instance a link or an image, would be markup.
OUR_KINDS = {
    "heading",
    "inline",
    "paragraph",
    "bullet_list",
    "list_item",
    "text",
    "softbreak",
    "strong",
    "code_inline",
    "fence",
}
OUR_HTML = {
    "html_block": {
        "<!-- gen:drift -->",
        "<!-- gen:review -->",
        "<details><summary>Patch of the generated files</summary>",
        "</details>",
    },
    "html_inline": set[str](),
}
PATCH = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-{text}\n+{text}\n"


def tokens(text: str) -> Iterator[Token]:
    """Yield every token of a comment as GitHub reads it: CommonMark with tables and struck text."""
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        yield token
        yield from token.children or ()


def contents(comment: str, *kinds: str) -> list[str]:
    """Return the contents of the tokens of these kinds."""
    return [token.content for token in tokens(comment) if token.type in kinds]


def plain_text(comment: str) -> str:
    """Return all text of a comment outside code."""
    return "".join(contents(comment, "text"))


def code(comment: str) -> list[str]:
    return contents(comment, "code_inline", "fence")


def comment_of(findings: Report) -> str:
    """Render a comment, and check that it fits and has only the markup that gen writes."""
    text = markdown.render(findings)
    parsed = list(tokens(text))
    assert len(text) < MAX_CHARACTERS
    opened = closed = headings = 0
    for token in parsed:
        headings += token.type == "heading_open"
        if token.type in OUR_HTML:
            # An element that gen does not write could load an image or run a script.
            assert token.content.strip() in OUR_HTML[token.type], text[-3000:]
            opened += "<details>" in token.content
            closed += "</details>" in token.content
        else:
            kind = token.type.removesuffix("_open").removesuffix("_close")
            assert kind in OUR_KINDS, text[-3000:]
    assert opened == closed, text[-3000:]
    assert headings == 1
    assert text.startswith("<!-- gen:")
    assert text.endswith("\n")
    return text


@each_text
def test_no_text_of_a_finding_is_markup(text: str) -> None:
    comment = comment_of(report(*everywhere(text)))
    # Outside code GitHub turns @octocat into a mention that sends an e-mail, and #1 into a link.
    assert re.sub(r"[^@#<>\[\]*~|$&\\`/]", "", plain_text(comment)) == ""


@each_text
def test_no_text_of_a_patch_leaves_its_fence(text: str) -> None:
    patch = PATCH.format(text=text)
    comment = comment_of(report(PLAIN, patch=patch))
    [fence] = contents(comment, "fence")
    # CommonMark normalizes line breaks.
    unix = patch.rstrip("\n").replace("\r\n", "\n").replace("\r", "\n")
    assert fence.rstrip("\n") == unix


@pytest.mark.parametrize(
    "name", ["backticks", "mentions", "a script", "an entity", "a backslash", "emphasis"]
)
def test_a_detail_is_shown_letter_by_letter(name: str) -> None:
    comment = comment_of(report(replace(PLAIN, details=(TEXTS[name],))))
    assert TEXTS[name] in code(comment)


def test_the_first_line_identifies_the_comment() -> None:
    assert comment_of(report()).splitlines()[0] == "<!-- gen:drift -->"
    assert comment_of(report(patch="x")).splitlines()[0] == "<!-- gen:review -->"


MANY = [
    replace(PLAIN, message=f"is number {number}", details=("x" * 60,)) for number in range(5_000)
]


def test_a_comment_with_too_many_findings_counts_the_rest() -> None:
    comment = comment_of(report(*MANY))
    # Only the number of a message is code: its other words are plain.
    numbers = [int(item) for item in code(comment) if item.isdigit()]
    assert numbers == list(range(len(numbers)))
    omitted = 5_000 - len(numbers)
    assert f"… and {omitted} more. Run `gen` in a terminal to see all of them.\n" in comment


def test_a_long_patch_is_cut_with_a_notice() -> None:
    comment = comment_of(report(*MANY, patch="+ abc\n" * 50_000))
    notice = "\n\nThe patch is cut here. Run `gen review` to see all of it.\n\n</details>\n"
    assert comment.endswith(notice)


@pytest.mark.parametrize(
    "finding",
    [
        pytest.param(
            replace(PLAIN, rule="trust", details=("came ed25519 x",) * 5_000), id="many details"
        ),
        pytest.param(replace(PLAIN, rule="trust", details=("x" * 100_000,)), id="a long detail"),
        pytest.param(replace(PLAIN, rule="trust", message="y " * 50_000), id="a long message"),
        pytest.param(replace(PLAIN, rule="trust", details=("`" * 50_000,)), id="many backticks"),
    ],
)
def test_a_long_finding_is_cut_but_present(finding: Finding) -> None:
    # Otherwise an attacker could hide a change of trust by making it long.
    comment = comment_of(report(finding, PLAIN))
    assert "- **trust** `ssh/mila.conf`: " in comment


# A fence must be longer than any run of backticks inside, and there are two of them: a run of
# 29,000 leaves hardly room for the rest of the comment.
@pytest.mark.parametrize("number", [100, 10_000, 29_000])
def test_a_patch_of_backticks_does_not_make_the_comment_too_long(number: int) -> None:
    comment_of(report(*MANY, patch=f"+{'`' * number}\n"))


def test_a_patch_may_end_without_a_line_break() -> None:
    assert code(comment_of(report(PLAIN, patch="+ a")))[-1] == "+ a\n"
