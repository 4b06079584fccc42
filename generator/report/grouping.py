"""Group the stale files of a report for readers; programs get a finding for each file."""

from collections.abc import Iterable
from dataclasses import replace

from generator.formatting import count
from generator.report.finding import Finding

_STALE = "stale"


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for all files that are stale for one reason and one spec.

    A spec with a hundred output directories would otherwise use up the annotations of GitHub, and
    push other causes out of a comment.
    """
    groups: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        key: object = number
        if finding.rule == _STALE:
            # Without a changed key, the path is that of the file itself.
            spec = (finding.path, finding.line) if finding.path != finding.file else finding.site
            key = (spec, finding.level, finding.message, finding.details)
        groups.setdefault(key, []).append(finding)
    return [_group(members) for members in groups.values()]


def _group(members: list[Finding]) -> Finding:
    first = members[0]
    if len(members) == 1:
        return first
    files = [member.file for member in members]
    return replace(
        first,
        # The spec, or the first of the files.
        file=first.path,
        message=f"{count(len(members), 'stale file')}; each {first.message}",
        details=(*files, *first.details),
    )
