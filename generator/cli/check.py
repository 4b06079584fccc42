"""`gen check [DIR]`: report every generated file that is not what its spec compiles to.

Imports nothing that writes.
"""

from datetime import date
from pathlib import Path

from generator import paths
from generator.cli.output import data, say
from generator.report.finding import Finding, Level, counts, summary
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
    if "refused" in counts(report):
        return 2
    # Accepted drift is a note: it is reported, and does not fail the check.
    errors = [finding for finding in report.findings if finding.level is Level.ERROR]
    if not errors:
        return 0
    say(f"\nNext: {_next_step(directory, errors)}")
    return 1


def _next_step(directory: Path, errors: list[Finding]) -> str:
    accepted = directory / paths.ACCEPTED_DRIFT
    # Only entries that have expired or are unused: no file has to be generated again.
    if {error.file for error in errors} == {str(accepted)}:
        return f"change {accepted}"
    command = f"gen diff {directory}, then gen site --all --out {directory}"
    # Without the option, gen site would refuse an edited file.
    if "edited" in {error.rule for error in errors}:
        command += " --force"
    return command
