"""`gen site --all`: make every site below a folder anew, from the inputs in its lock."""

import json
from datetime import date
from pathlib import Path, PurePosixPath

from generator.cli.file_changes import DONE, listed, preview, refuse_conflicts
from generator.cli.output import data, say
from generator.errors import GenError
from generator.workspace import accepted_drift, lock, writer
from generator.workspace.plan import Action
from generator.workspace.recompile import Comparison, compare, content, found_in, known_in, recorded


def run(out: Path, *, dry_run: bool, force: bool, as_json: bool, today: date) -> int:
    """Write every site; all faults and refusals are told before the first write.

    A lock with a merge conflict is read as our side has it, and what git merged in its files gives way: the specs say
    what they must be. A backup is kept of every file that neither side had. Drift that is accepted stays.

    Raises:
        GenError: no site was generated here, faults in specs, files that are not ours to replace, a write that failed.
    """
    merged: list[Comparison] = []
    found: list[Comparison] = []
    faults: list[str] = []
    for root, where in found_in(out):
        try:
            in_conflict = lock.has_conflict_markers(content(root, where))
            site = compare(root, where, (_ours if in_conflict else recorded)(root, where), out)
            (merged if in_conflict else found).append(site)
        except GenError as error:
            faults.append(str(error))
    if faults:
        raise GenError("\n".join([*faults, "Nothing was written."]))
    spared = accepted_drift.spared(known_in(out), out, today)
    merged, found = ([site.sparing(spared) for site in sites] for sites in (merged, found))
    every = sorted([*merged, *found], key=lambda site: (site.root, site.lock))
    if dry_run:
        preview([(site.root, site.changes) for site in every], out)
        return 0
    if not force:
        _refuse_removal(every)
        refuse_conflicts((site.root, site.changes) for site in found)
    backups = {site.root / path for site in every for path in _write(site)}
    if as_json:
        data(_json(every, backups))
    else:
        _summary(every, backups)
    return 0


def _refuse_removal(every: list[Comparison]) -> None:
    """Refuse to take away a site because its spec is not where it was: it may have moved, or be on another branch."""
    gone = [site for site in every if site.made is None]
    if gone:
        lines = [
            f"{site.root / site.lock}: its spec, {site.was.inputs.spec.path}, is gone or of another site"
            for site in gone
        ]
        hint = "Nothing was written. Bring it back, or take the files of such a site away with --force."
        raise GenError("\n".join([*lines, hint]))


def _ours(root: Path, where: PurePosixPath) -> lock.Lock:
    return lock.parse(lock.our_side(content(root, where)), str(root / where))


def _write(site: Comparison) -> list[PurePosixPath]:
    record = site.record.artifact
    return writer.apply(site.root, site.changes, site.lock, record.content if record else None)


def _summary(every: list[Comparison], backups: set[Path]) -> None:
    changed = [
        (site.root, change)
        for site in every
        for change in site.changes
        if change.action is not Action.KEEP
    ]
    for root, change in changed:
        say(f"  {DONE[change.action]:9} {root / change.path}")
    for backup in sorted(backups):
        say(f"  {'backup':9} {backup}")
    say(
        f"{len(every)} site{'s' if len(every) != 1 else ''} made anew, {len(changed)} files changed"
    )


def _json(every: list[Comparison], backups: set[Path]) -> str:
    sites = [
        {"site": site.was.site, "folder": str(site.root), "files": listed(site.changes)}
        for site in every
    ]
    return json.dumps(
        {"format_version": "1.0", "sites": sites, "backups": sorted(map(str, backups))}, indent=2
    )
