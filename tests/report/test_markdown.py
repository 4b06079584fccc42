"""A comment on a pull request, read by a parser of CommonMark: what comes from files is code, and nothing else."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hostile import PLAIN, TEXTS, each_text, everywhere, report
from markdown_it import MarkdownIt
from markdown_it.token import Token

from generator.report import markdown
from generator.report.finding import Finding, Report

LONGEST = 65_536  # characters that GitHub takes
OURS = {
    "html_block": {
        "<!-- gen:drift -->",
        "<!-- gen:proposal -->",
        "<details><summary>What it does to the generated files</summary>",
        "</details>",
    },
    "html_inline": set[str](),
}
EFFECT = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-{text}\n+{text}\n"


def tokens(text: str) -> Iterator[Token]:
    """Yield every token of a comment, as GitHub reads it: CommonMark with tables, struck text and bare addresses."""
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        yield token
        yield from token.children or ()


def words(text: str) -> str:
    """Return all that is text in a comment, and not code."""
    return "".join(token.content for token in tokens(text) if token.type == "text")


def code(text: str) -> list[str]:
    return [token.content for token in tokens(text) if token.type in ("code_inline", "fence")]


def sound(text: str) -> bool:
    """Tell whether a comment is short enough, and has no markup but ours."""
    found = list(tokens(text))
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in found}
    html = [token for token in found if token.type in OURS]
    return (
        len(text) < LONGEST
        and kinds
        <= {
            "html_block",
            "heading",
            "inline",
            "paragraph",
            "bullet_list",
            "list_item",
            "text",
            "softbreak",
        }
        | {"strong", "code_inline", "fence"}
        and all(token.content.strip() in OURS[token.type] for token in html)
        and sum("<details>" in token.content for token in html)
        == sum("</details>" in token.content for token in html)
        and sum(token.type == "heading_open" for token in found) == 1
        and text.startswith("<!-- gen:")
        and text.endswith("\n")
    )


def shown(found: Report) -> str:
    text = markdown.render(found)
    assert sound(text), text[-3000:]
    return text


@each_text
def test_nothing_in_a_finding_is_markup(text: str) -> None:
    comment = shown(report(*everywhere(text)))
    assert re.sub(r"[^@#<>\[\]*~|$&\\`/]", "", words(comment)) == ""


@each_text
def test_nothing_in_an_effect_leaves_its_fence(text: str) -> None:
    comment = shown(report(PLAIN, effect=EFFECT.format(text=text)))
    [fence] = [token.content for token in tokens(comment) if token.type == "fence"]
    assert fence.rstrip("\n") == EFFECT.format(text=text).rstrip("\n").replace(
        "\r\n", "\n"
    ).replace("\r", "\n")


@pytest.mark.parametrize(
    "name", ["backticks", "mentions", "a script", "an entity", "a backslash", "emphasis"]
)
def test_a_detail_is_shown_as_it_is(name: str) -> None:
    assert TEXTS[name] in code(shown(report(replace(PLAIN, details=(TEXTS[name],)))))


def test_a_comment_is_found_again_by_its_first_line() -> None:
    assert shown(report()).splitlines()[0] == "<!-- gen:drift -->"
    assert shown(report(effect="x")).splitlines()[0] == "<!-- gen:proposal -->"


MANY = [
    replace(PLAIN, message=f"is number {number}", details=("x" * 60,)) for number in range(5_000)
]


def test_very_many_findings_are_cut_and_counted() -> None:
    comment = shown(report(*MANY))
    numbers = [int(item) for item in code(comment) if item.isdigit()]
    assert numbers == list(range(len(numbers)))
    assert f"… and {5_000 - len(numbers)} more, which" in comment


def test_a_long_effect_is_cut_and_that_is_said() -> None:
    comment = shown(report(*MANY, effect="+ abc\n" * 50_000))
    assert "It is cut here" in comment
    assert (
        comment.endswith("\n\nIt is cut here; `gen review` shows it whole.\n\n</details>\n")
        or "</details>" in comment
    )


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
def test_a_long_finding_is_cut_and_not_left_out(finding: Finding) -> None:
    """Or whoever wants to hide what people are to trust makes it long."""
    comment = shown(report(finding, PLAIN))
    assert "- **trust** `ssh/mila.conf`: " in comment


@pytest.mark.parametrize("number", [100, 10_000, 29_000])
def test_an_effect_of_backticks_does_not_make_the_comment_too_long(number: int) -> None:
    shown(report(*MANY, effect=f"+{'`' * number}\n"))


def test_an_effect_may_end_without_a_line_break() -> None:
    assert code(shown(report(PLAIN, effect="+ a")))[-1] == "+ a\n"
