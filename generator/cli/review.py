"""`gen review BASE [HEAD]`: review the changes of specs between two revisions.

Imports nothing that writes.
"""

from datetime import date
from pathlib import Path

from generator.cli.output import data, say
from generator.formatting import count
from generator.report.finding import counts, summary
from generator.report.format import FailOn, Format
from generator.report.rendered import rendered
from generator.report.verdict import failing
from generator.revisions.revision_report import revision_report


def run(
    base: str,
    head: str | None,
    specs: Path,
    form: Format,
    fail_on: FailOn | None,
    today: date,
) -> int:
    """Print the review; return 2 if a new spec has faults, 1 if `fail_on` names a finding, else 0.

    Without `fail_on`, users judge a proposal.
    """
    report = revision_report(base, head, specs, today)
    data(rendered(report, form))
    say(summary(report))
    if "refused" in counts(report):
        return 2
    failures = failing(report, fail_on)
    if not failures:
        return 0
    say(f"--fail-on {fail_on}: {count(len(failures), 'finding')} for a reviewer to approve")
    return 1
