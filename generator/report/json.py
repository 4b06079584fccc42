"""A report for programs; `docs/report.schema.json` describes it."""

import json
from dataclasses import asdict

from generator.report.finding import FORMAT_VERSION, Report, counts


def render(report: Report) -> str:
    """Return one JSON object. The first number of `format_version` changes when a reader has to."""
    return json.dumps(
        {"format_version": FORMAT_VERSION, **asdict(report), "counts": counts(report)}, indent=2
    )
