"""A report for programs; `docs/report.schema.json` describes it."""

import json
from dataclasses import asdict

from generator.report.finding import FORMAT_VERSION, Report, counts


def render(report: Report) -> str:
    """Return one JSON object. The first number of `format_version` grows when programs must adapt."""
    document = {"format_version": FORMAT_VERSION, **asdict(report), "counts": counts(report)}
    return json.dumps(document, indent=2)
