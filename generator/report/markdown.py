"""A report as a comment on a pull request. What may come from a file stands in code, where nothing is markup."""

import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from generator.report.finding import Finding, Report, summary, visible

_MOST = 60_000  # characters; GitHub takes 65,536
_LONGEST_EFFECT = 30_000
_LONGEST_MESSAGE, _LONGEST_DETAIL, _MOST_DETAILS = 1_000, 300, 40
_LONGEST_FENCE = 100
_WORD = re.compile(r"[(“]?[A-Za-z][A-Za-z’-]*[,;:.)”]*|→")
_HEADINGS = {
    "drift": "Generated files that are not what their specs compile to",
    "proposal": "What this change of the specs means",
}


def marker(report: Report) -> str:
    """Return the first line, which no reader sees and by which the next run finds its comment."""
    return f"<!-- gen:{report.kind} -->"


def render(report: Report) -> str:
    """Return the comment, cut at a finding where it would be longer than GitHub takes."""
    lines = [marker(report), f"### {_HEADINGS[report.kind]}", "", summary(report) + ".", ""]
    length = sum(map(len, lines))
    for number, finding in enumerate(report.findings):
        item = "\n".join(_item(finding))
        length += len(item) + 1
        if length > _MOST - _LONGEST_EFFECT:
            lines.append(
                f"\n… and {len(report.findings) - number} more, which `gen` shows in a terminal."
            )
            break
        lines.append(item)
    return "\n".join([*lines, *_effect(report)]) + "\n"


def _item(finding: Finding) -> Iterator[str]:
    place = f"{finding.path}:{finding.line}"
    yield f"- **{finding.rule}** {_code(finding.file)}: {_prose(finding.message[:_LONGEST_MESSAGE])} ({_code(place)})"
    yield from (
        f"  - {_code(detail[:_LONGEST_DETAIL])}" for detail in finding.details[:_MOST_DETAILS]
    )
    if len(finding.details) > _MOST_DETAILS:
        yield f"  - … and {len(finding.details) - _MOST_DETAILS} more"


def _effect(report: Report) -> Iterator[str]:
    if not report.effect:
        return
    effect, cut = report.effect[:_LONGEST_EFFECT], len(report.effect) > _LONGEST_EFFECT
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", effect)), default=0))
    if len(fence) > _LONGEST_FENCE:
        yield from (
            "",
            "What it does to the generated files does not fit here; `gen review` shows it.",
        )
        return
    yield from ("", "<details><summary>What it does to the generated files</summary>", "")
    yield from (f"{fence}diff", effect.rstrip("\n"), fence, "")
    yield from (["It is cut here; `gen review` shows it whole.", ""] if cut else [])
    yield "</details>"


def _prose(text: str) -> str:
    """Return a sentence with all that is not plain words in code: names, numbers, mentions, markup."""
    parts = [(bool(_WORD.fullmatch(word)), word) for word in text.split()]
    runs = [
        (plain, " ".join(word for _, word in run))
        for plain, run in groupby(parts, key=itemgetter(0))
    ]
    return " ".join(words if plain else _code(words) for plain, words in runs)


def _code(text: str) -> str:
    """Return a text as inline code, in backticks enough that none of its own ends it."""
    text = visible(text) or " "
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"
