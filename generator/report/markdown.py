"""A report as a comment on a pull request.

Foreign text is written as code, where Markdown has no markup.
"""

import re
from collections.abc import Iterator
from itertools import groupby

from generator.formatting import cut, printable
from generator.report.finding import Finding, Report, summary
from generator.report.grouping import grouped

# GitHub refuses a comment of more than 65,536 characters.
_MAX_COMMENT = 60_000
_MAX_PATCH = 30_000
_MAX_MESSAGE = 1_000
_MAX_DETAIL = 700
_MAX_DETAILS = 40
# However many findings there are, each keeps its first line; the details share the remaining space.
_MIN_DETAILS = 400
# A patch may have rows of thousands of backticks, which would double its length.
_MAX_FENCE = 100
# No markup has a meaning in these characters; a word with any other (@, #, _, *, <, a digit of an
# issue) becomes code.
_PLAIN_WORD = re.compile(r"[(“]?[A-Za-z][A-Za-z’-]*[,;:.)”]*|→")
_HEADINGS = {
    "drift": "Generated files that differ from their specs",
    "review": "Changes of the specs, by meaning",
}


def marker(report: Report) -> str:
    """Return the first line, an invisible comment.

    The next run finds the comment to update by it.
    """
    return f"<!-- gen:{report.kind} -->"


def render(report: Report) -> str:
    """Return the comment.

    It ends after a whole finding if all of them would be too long for GitHub.
    """
    lines = [marker(report), f"### {_HEADINGS[report.kind]}", "", f"{summary(report)}.", ""]
    length = sum(map(len, lines))
    findings = grouped(report.findings)
    space = (_MAX_COMMENT - _MAX_PATCH) // 2 // max(1, len(findings))
    for number, finding in enumerate(findings):
        item = "\n".join(_item(finding, max(space, _MIN_DETAILS)))
        length += len(item) + 1
        if length > _MAX_COMMENT - _MAX_PATCH:
            omitted = len(findings) - number
            lines.append(f"\n… and {omitted} more. Run `gen` in a terminal to see all of them.")
            break
        lines.append(item)
    lines += _patch(report.patch)
    return "\n".join(lines) + "\n"


def _item(finding: Finding, space: int) -> Iterator[str]:
    """Yield the lines of a finding; its details take about `space` characters."""
    location = _code(f"{finding.path}:{finding.line}")
    message = _prose(cut(finding.message, _MAX_MESSAGE))
    yield f"- **{finding.rule}** {_code(finding.file)}: {message} ({location})"
    for number, detail in enumerate(finding.details):
        line = f"  - {_code(cut(detail, _MAX_DETAIL))}"
        space -= len(line)
        # The first detail says what changed.
        if number == _MAX_DETAILS or (number and space < 0):
            yield f"  - … and {len(finding.details) - number} more"
            return
        yield line


def _patch(patch: str) -> Iterator[str]:
    if not patch:
        return
    shown = patch[:_MAX_PATCH]
    # A fence must be longer than every row of backticks within it (CommonMark 0.31, section 4.5).
    fence = "`" * max(3, 1 + _longest_backticks(shown))
    yield ""
    if len(fence) > _MAX_FENCE:
        yield "The patch of the generated files does not fit here. Run `gen review` to see it."
        return
    yield from ("<details><summary>Patch of the generated files</summary>", "")
    yield from (f"{fence}diff", shown.rstrip("\n"), fence, "")
    if len(patch) > _MAX_PATCH:
        yield from ("The patch is cut here. Run `gen review` to see all of it.", "")
    yield "</details>"


def _prose(text: str) -> str:
    """Return a sentence with everything but plain words as code: names, mentions, markup."""
    runs = groupby(text.split(), key=lambda word: bool(_PLAIN_WORD.fullmatch(word)))
    parts = []
    for is_plain, group in runs:
        run = " ".join(group)
        parts.append(run if is_plain else _code(run))
    return " ".join(parts)


def _code(text: str) -> str:
    """Return a text as inline code.

    Its backticks are more than the longest row in the text, so that none ends it.
    """
    shown = printable(text) or " "
    ticks = "`" * (1 + _longest_backticks(shown))
    if shown.startswith("`") or shown.endswith("`"):
        shown = f" {shown} "
    return f"{ticks}{shown}{ticks}"


def _longest_backticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
