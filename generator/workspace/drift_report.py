"""Report the drift of every site below a directory."""

import shlex
from collections.abc import Iterator
from datetime import date
from itertools import zip_longest
from pathlib import Path

from generator import paths
from generator.errors import GenError
from generator.report.finding import Finding, Level, Report, refusals
from generator.workspace import project_lock, reader, recompile
from generator.workspace.accepted_drift import settle
from generator.workspace.drift import Drift
from generator.workspace.plan import Change
from generator.workspace.project_lock import ProjectComparison
from generator.workspace.reader import LockFile
from generator.workspace.recompile import Comparison


def drift_report(directory: Path, today: date) -> Report:
    """Compare every site below a directory with the artifacts of its recorded inputs."""
    survey = recompile.survey(directory)
    digests: dict[str, str | None] = {}
    findings = list(_findings(directory, survey, digests))
    for list_directory in survey.accepted:
        try:
            accepted = recompile.accepted_drift(list_directory, directory)
        except GenError as error:
            findings += refusals(error, str(list_directory / paths.ACCEPTED_DRIFT), "")
            continue
        if accepted:
            findings = settle(findings, accepted, digests, today)
    return Report("drift", len(survey.locks), tuple(findings))


def _findings(
    directory: Path, survey: reader.Survey, digests: dict[str, str | None]
) -> Iterator[Finding]:
    """Yield the drift of each site, or why it could not be compared.

    The files that no lock records come last. The digest of each file that drifts is added to
    `digests`.
    """
    recorded = set[Path]()
    are_locks_readable = True
    comparisons: list[Comparison] = []
    for lock_file in survey.locks:
        try:
            lock = recompile.read_lock(lock_file, recompile.read_content(lock_file))
        except GenError as error:
            are_locks_readable = False
            yield from _refusals(lock_file, error)
            continue
        for path in lock.files:
            recorded.add(lock_file.directory / path)
        try:
            comparison = recompile.compare(lock_file, lock, directory)
        except GenError as error:
            yield from _refusals(lock_file, error)
            continue
        comparisons.append(comparison)
        for drift in comparison.drifts():
            finding = _finding(comparison, drift)
            digests[finding.file] = drift.sha256
            yield finding
    yield from _project_findings(directory, survey, comparisons, digests)
    # An unreadable lock, reported above, may record the files that look like strays.
    if are_locks_readable:
        for stray in reader.strays(survey.candidates, recorded):
            yield _stray(stray)


def _project_findings(
    directory: Path,
    survey: reader.Survey,
    sites: list[Comparison],
    digests: dict[str, str | None],
) -> Iterator[Finding]:
    """Yield the drift of the modules of each project, and whether its template is older."""
    for project_directory, site in project_lock.directories(survey, sites).items():
        try:
            project = project_lock.compare(project_directory, site, directory)
        except GenError as error:
            yield from refusals(error, str(project_directory / paths.PROJECT_LOCK), "")
            continue
        for drift in project.drifts():
            file = str(project_directory / drift.change.path)
            digests[file] = drift.sha256
            line = _first_difference(drift.change) if drift.change.actual else 1
            site_name = project.lock.site
            yield Finding(
                drift.cause, Level.ERROR, drift.reason, site_name, file=file, path=file, line=line
            )
        if project.has_newer_template():
            yield _newer_template(project)


def _newer_template(project: ProjectComparison) -> Finding:
    name = str(project.directory / paths.PROJECT_LOCK)
    command = f"gen project {shlex.quote(str(project.directory))} --update"
    message = f"gen has a newer template for this project; merge it with: {command}"
    return Finding("template", Level.NOTE, message, project.lock.site, file=name, path=name)


def _refusals(lock_file: LockFile, error: GenError) -> list[Finding]:
    return refusals(error, str(lock_file.full_path), lock_file.path.stem)


def _stray(path: Path) -> Finding:
    message = "no lock records this file: it was copied here, or its lock is gone"
    name = str(path)
    return Finding("orphaned", Level.ERROR, message, "", file=name, path=name, key=name)


def _finding(comparison: Comparison, drift: Drift) -> Finding:
    locations = _locations(comparison, drift)
    # The first location is where an annotation of a pull request appears.
    path, line = locations[0]
    key = ""
    if drift.keys:
        key = drift.keys[0]
    details: list[str] = []
    if len(locations) > 1:
        for key, (key_path, key_line) in zip(drift.keys, locations, strict=True):
            details.append(f"{key_path}:{key_line}: {key}")
    return Finding(
        rule=drift.cause,
        level=Level.ERROR,
        message=drift.reason,
        site=comparison.lock.site,
        file=str(comparison.lock_file.directory / drift.change.path),
        path=str(path),
        line=line,
        key=key,
        details=tuple(details),
    )


def _locations(comparison: Comparison, drift: Drift) -> list[tuple[Path, int]]:
    """Return the places to look at.

    They are the changed keys of the spec, else the first differing line of the file, else the
    entry of the file in the lock.
    """
    recompilation = comparison.recompilation
    # A spec that ships with gen is not in the repository, so no annotation can point to it.
    has_path = comparison.lock.inputs.spec.has_path
    if drift.keys and recompilation and has_path:
        document = recompilation.document
        return [(recompilation.spec, document.at(key).line) for key in drift.keys]
    lock_file = comparison.lock_file
    if drift.change.actual:
        return [(lock_file.directory / drift.change.path, _first_difference(drift.change))]
    # The file is missing, so only the lock can say what should be there.
    lock_content = b""
    if comparison.lock_actual:
        lock_content = comparison.lock_actual.content
    return [(lock_file.full_path, _entry_line(lock_content, f'"{drift.change.path}": {{'))]


def _first_difference(change: Change) -> int:
    actual: list[bytes] = []
    expected: list[bytes] = []
    if change.actual:
        actual = change.actual.content.split(b"\n")
    if change.artifact:
        expected = change.artifact.content.split(b"\n")
    for number, (left, right) in enumerate(zip_longest(actual, expected), 1):
        if left != right:
            return number
    return 1


def _entry_line(lock_content: bytes, entry: str) -> int:
    for number, line in enumerate(lock_content.splitlines(), 1):
        if line.strip() == entry.encode():
            return number
    return 1
