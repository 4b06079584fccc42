"""`gen review BASE [HEAD]`: review the changes of specs between two revisions.

Imports nothing that writes.
"""

from datetime import date
from pathlib import Path

from generator.cli.output import data, say
from generator.report.finding import summary
from generator.report.format import Format
from generator.report.rendered import rendered
from generator.revisions.revision_report import revision_report


def run(base: str, head: str | None, specs: Path, form: Format, today: date) -> int:
    """Print the review; return 2 if a new spec has faults, else 0: people judge a proposal."""
    report = revision_report(base, head, specs, today)
    data(rendered(report, form))
    say(summary(report))
    return 2 if any(finding.rule == "refused" for finding in report.findings) else 0
