"""The function that renders each format."""

from collections.abc import Callable, Mapping

from generator.report import codequality, github, json, markdown, rdjsonl, sarif, text
from generator.report.finding import Report
from generator.report.format import Format

_RENDER: Mapping[Format, Callable[[Report], str]] = {
    Format.TEXT: text.render,
    Format.JSON: json.render,
    Format.MARKDOWN: markdown.render,
    Format.GITHUB: github.render,
    Format.SARIF: sarif.render,
    Format.RDJSONL: rdjsonl.render,
    Format.CODEQUALITY: codequality.render,
}


def rendered(report: Report, form: Format) -> str:
    """Return a report in one of the formats."""
    return _RENDER[form](report)
