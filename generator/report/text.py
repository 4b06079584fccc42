"""A report for a terminal: a line for each finding, what belongs to it below."""

from collections.abc import Iterator

from generator.report.finding import Report, visible


def render(report: Report) -> str:
    """Return the findings; nothing when there are none."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        place = f"{finding.path}:{finding.line}"
        elsewhere = f" ({place})" if finding.path != finding.file else ""
        head = finding.file if elsewhere else place
        yield visible(f"{head}: {finding.rule}: {finding.message}{elsewhere}")
        yield from (f"    {visible(detail)}" for detail in finding.details)
    if report.effect:
        lines = report.effect.splitlines()
        files = [line.partition(" b/")[2] for line in lines if line.startswith("diff --git ")]
        yield f"effect: {len(files)} generated files change ({', '.join(files)}); --format markdown shows how"
