"""A report for programs; `docs/report.schema.json` describes it."""

from dataclasses import asdict

from generator import codec
from generator.report.finding import Report, counts


def render(report: Report) -> str:
    """Return one JSON object.

    The first number of its `format_version` grows when programs must adapt.
    """
    return codec.report({**asdict(report), "counts": counts(report)})
