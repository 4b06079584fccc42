"""`gen check [DIR]`: is every generated file what its spec compiles to, and why not. Imports nothing that writes."""

from collections.abc import Iterator
from datetime import date
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from generator import paths
from generator.cli.output import data, say
from generator.errors import GenError
from generator.report.finding import Finding, Level, Report, refusals, summary
from generator.report.format import Format
from generator.report.rendered import rendered
from generator.workspace import accepted_drift, reader
from generator.workspace.drift import Drift
from generator.workspace.plan import Change
from generator.workspace.recompile import Comparison, compare, found_in, known_in, recorded


def run(folder: Path, form: Format, today: date) -> int:
    """Print what drifts below a folder; 1 where something does, 2 where a site could not be compared.

    Raises:
        GenError: there is nothing to check.
    """
    report = drift_report(folder, today)
    findings = report.findings
    data(rendered(report, form))
    say(summary(report))
    if any(item.rule == "refused" for item in findings):
        return 2
    if any(item.level is Level.ERROR for item in findings):
        edited = (
            " --force"
            if any(item.rule == "edited" and item.level is Level.ERROR for item in findings)
            else ""
        )
        entries = all(
            item.file == str(folder / paths.ACCEPTED_DRIFT)
            for item in findings
            if item.level is Level.ERROR
        )
        mend = (
            f"change {folder / paths.ACCEPTED_DRIFT}"
            if entries
            else f"gen diff {folder}, then gen site --all --out {folder}{edited}"
        )
        say(f"\nNext: {mend}")
        return 1
    return 0


def drift_report(folder: Path, today: date) -> Report:
    """Compare every site below a directory with what its lock's inputs compile to now."""
    places = found_in(folder)
    findings = list(_found(folder, places))
    try:
        if known := known_in(folder):
            findings = accepted_drift.settle(findings, known, folder, today)
    except GenError as error:
        findings += refusals(error, str(folder / paths.ACCEPTED_DRIFT), "")
    return Report("drift", len(places), tuple(findings))


def _found(folder: Path, places: list[tuple[Path, PurePosixPath]]) -> Iterator[Finding]:
    """Yield what drifts of each site, or why that cannot be told; then the files that no lock tells of."""
    named, unread = set[Path](), False
    for root, where in places:
        was = None
        try:
            was = recorded(root, where)
            found = compare(root, where, was, folder)
        except GenError as error:
            yield from refusals(error, str(root / where), where.stem)
        else:
            yield from (_finding(found, drift) for drift in found.drifts())
        named.update(root / path for path in (was.files if was else ()))
        unread |= was is None
    # What a lock knows that cannot be read is not known, and it is told already.
    yield from map(_stray, [] if unread else reader.strays(folder, named))


def _stray(path: Path) -> Finding:
    message = "no lock tells of it: it was copied here, or its lock is gone"
    return Finding(
        "orphaned", Level.ERROR, message, "", file=str(path), path=str(path), key=str(path)
    )


def _finding(found: Comparison, drift: Drift) -> Finding:
    places = _places(found, drift)
    path, line = places[0]
    moved = [f"{path}:{line}: {key}" for key, (path, line) in zip(drift.keys, places, strict=False)]
    return Finding(
        rule=drift.cause,
        level=Level.ERROR,
        message=drift.reason,
        site=found.was.site,
        file=str(found.root / drift.change.path),
        path=str(path),
        line=line,
        key=drift.keys[0] if drift.keys else "",
        details=tuple(moved) if len(places) > 1 else (),
    )


def _places(found: Comparison, drift: Drift) -> list[tuple[Path, int]]:
    """Return where a person should look: at the keys that moved, the first line that differs, or the file's entry."""
    if drift.keys and found.made and found.was.inputs.spec.catalogue_name is None:
        return [(found.made.spec, found.made.document.at(key).line) for key in drift.keys]
    if drift.change.actual:
        return [(found.root / drift.change.path, _first_difference(drift.change))]
    lines = (found.record.actual.content if found.record.actual else b"").splitlines()
    entry = f'"{drift.change.path}": {{'.encode()
    return [
        (
            found.root / found.lock,
            next((n for n, line in enumerate(lines, 1) if line.strip() == entry), 1),
        )
    ]


def _first_difference(change: Change) -> int:
    is_now = change.actual.content.split(b"\n") if change.actual else []
    wanted = change.artifact.content.split(b"\n") if change.artifact else []
    pairs = zip_longest(is_now, wanted)
    return next((number for number, (one, other) in enumerate(pairs, 1) if one != other), 1)
