"""`gen check [DIR]`: report every generated file that is not what its spec compiles to.

Imports nothing that writes.
"""

from datetime import date
from pathlib import Path

from generator import paths
from generator.cli.output import data, say
from generator.report.finding import Finding, Level, summary
from generator.report.format import Format
from generator.report.rendered import rendered
from generator.workspace.drift_report import drift_report


def run(directory: Path, form: Format, today: date) -> int:
    """Print the drift below a directory.

    Return 1 if there is any, 2 if a site could not be compared.
    """
    report = drift_report(directory, today)
    data(rendered(report, form))
    say(summary(report))
    if any(finding.rule == "refused" for finding in report.findings):
        return 2
    errors = [finding for finding in report.findings if finding.level is Level.ERROR]
    if not errors:
        return 0
    say(f"\nNext: {_next_step(directory, errors)}")
    return 1


def _next_step(directory: Path, errors: list[Finding]) -> str:
    accepted = directory / paths.ACCEPTED_DRIFT
    if all(error.file == str(accepted) for error in errors):
        return f"change {accepted}"
    force = " --force" if any(error.rule == "edited" for error in errors) else ""
    return f"gen diff {directory}, then gen site --all --out {directory}{force}"
