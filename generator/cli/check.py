"""`gen check [DIR]`: report every generated file that is not what its spec compiles to.

Imports nothing that writes.
"""

import shlex
from datetime import date
from pathlib import Path

from generator import paths
from generator.cli.output import data, say, say_next
from generator.report.finding import Finding, Level, counts, summary
from generator.report.format import Format
from generator.report.rendered import rendered
from generator.workspace.drift import Cause
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
    say_next(*_next_steps(directory, errors))
    return 1


def _next_steps(directory: Path, errors: list[Finding]) -> list[str]:
    """Return the commands that end the drift."""
    accepted = directory / paths.ACCEPTED_DRIFT
    steps: list[str] = []
    if all(error.file == str(accepted) for error in errors):
        return [f"$EDITOR {shlex.quote(str(accepted))}"]
    # No site has these files, so that no command of gen deletes them.
    copies = [error.file for error in errors if error.rule == Cause.ORPHANED and not error.site]
    if copies:
        steps.append(shlex.join(["rm", "--", *copies]))
    if len(copies) < len(errors):
        name = shlex.quote(str(directory))
        force = " --force" if any(error.rule == Cause.EDITED for error in errors) else ""
        steps += [f"gen diff {name}", f"gen site --all --out {name}{force}"]
    return steps
