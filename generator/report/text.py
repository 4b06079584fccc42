"""A report for a terminal: one line for each finding, with its details indented below."""

from collections.abc import Iterator

from generator.formatting import printable
from generator.report.finding import Finding, Report


def render(report: Report) -> str:
    """Return the findings, or an empty text if there are none."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        yield printable(_headline(finding))
        for detail in finding.details:
            yield f"    {printable(detail)}"
    if report.patch:
        yield printable(_patch_summary(report.patch))


def _headline(finding: Finding) -> str:
    location = f"{finding.path}:{finding.line}"
    if finding.path == finding.file:
        # Editors jump to a place that stands at the start of a line.
        return f"{location}: {finding.rule}: {finding.message}"
    return f"{finding.file}: {finding.rule}: {finding.message} ({location})"


def _patch_summary(patch: str) -> str:
    files = []
    for line in patch.splitlines():
        if line.startswith("diff --git "):
            files.append(line.partition(" b/")[2])
    count = f"{len(files)} generated files change"
    if len(files) == 1:
        count = "1 generated file changes"
    return f"patch: {count} ({', '.join(files)}); --format markdown shows it"
