"""`gen site --all`: generate every site below a directory again, from the inputs in its lock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from generator import codec
from generator.cli.file_changes import DONE, json_entries, preview, refuse_conflicts
from generator.cli.output import data, say
from generator.errors import GenError
from generator.formatting import count
from generator.workspace import lock, project_lock, recompile, writer
from generator.workspace.accepted_drift import accepted_files
from generator.workspace.plan import Change, pending_changes
from generator.workspace.project_lock import ProjectComparison
from generator.workspace.reader import LockFile, Survey
from generator.workspace.recompile import Comparison

_REMOVAL_HINT = (
    "Nothing was written. Bring the spec back, or delete the files of such a site with --force."
)


@dataclass(frozen=True)
class _Site:
    """A site to write, and whether git left a merge conflict in its lock."""

    comparison: Comparison
    is_merge: bool

    @property
    def directory(self) -> Path:
        return self.comparison.lock_file.directory


def run(out: Path, *, dry_run: bool, force: bool, as_json: bool, today: date) -> int:
    """Write every site, unless one cannot be compiled or a file may not be replaced.

    Accepted drift stays.

    Of a lock with a merge conflict, our side is read. Then the files that git merged give way
    to what the specs compile to, and a backup is kept of every file that is on neither side.
    """
    survey = recompile.survey(out)
    accepted = accepted_files(recompile.accepted_lists(out, survey), today)
    sites, projects = _read(out, survey, accepted)
    pending = [(project.directory, project.changes) for project in projects]
    pending += [(site.directory, site.comparison.changes) for site in sites]
    if dry_run:
        preview(pending, out)
        return 0
    if not force:
        _refuse_removal(sites)
        # After a merge, git has edited the files: to refuse them would leave no way out.
        unmerged: list[tuple[Path, list[Change]]] = []
        for site in sites:
            if not site.is_merge:
                unmerged.append((site.directory, site.comparison.changes))
        for project in projects:
            if not project.is_merge:
                unmerged.append((project.directory, project.changes))
        refuse_conflicts(unmerged)
    _print_inputs(sites)
    backups = set[Path]()
    for project in projects:
        for path in _write(project.directory, project.changes, project.lock_change):
            backups.add(project.directory / path)
    for site in sites:
        comparison = site.comparison
        for path in _write(site.directory, comparison.changes, comparison.lock_change):
            backups.add(site.directory / path)
    if as_json:
        data(_json(sites, projects, backups))
    else:
        _print_summary(sites, pending, backups)
    return 0


def _print_inputs(sites: Sequence[_Site]) -> None:
    """Print what gen takes from the locks: they come from git, and decide where users connect.

    A site is named if one of its files changes, or if its lock has a value that users trust.
    """
    for site in sites:
        comparison = site.comparison
        inputs = comparison.lock.inputs
        trusted = [f"--set {override}" for override in inputs.overrides]
        if inputs.profile.get("accept_unverified"):
            trusted.append("--accept-unverified")
        if not (trusted or pending_changes(comparison.changes)):
            continue
        values = [*trusted, f"spec {inputs.spec.path}"]
        for name, value in inputs.profile.items():
            if name != "accept_unverified":
                values.append(f"{name} {value}")
        if inputs.project:
            values.append(f"project {inputs.project.folder}")
        say(f"From {comparison.lock_file.full_path}: {', '.join(values)}")


def _read(
    out: Path, survey: Survey, accepted: Mapping[tuple[str, str], str | None]
) -> tuple[list[_Site], list[ProjectComparison]]:
    """Return the sites and the projects below a directory, without accepted drift."""
    sites: list[_Site] = []
    projects: list[ProjectComparison] = []
    faults: list[str] = []
    for lock_file in survey.locks:
        try:
            sites.append(_read_site(lock_file, out))
        except GenError as error:
            # All faults are reported at once: a merge may break several locks.
            faults.append(str(error))
    comparisons = [site.comparison for site in sites]
    for directory, site in project_lock.directories(survey, comparisons).items():
        try:
            project = project_lock.compare(directory, site, out, is_merge=True)
        except GenError as error:
            faults.append(str(error))
            continue
        projects.append(project.without_accepted(accepted))
    if faults:
        raise GenError("\n".join([*faults, "Nothing was written."]))
    settled = [_Site(site.comparison.without_accepted(accepted), site.is_merge) for site in sites]
    return settled, projects


def _read_site(lock_file: LockFile, out: Path) -> _Site:
    content = recompile.read_content(lock_file)
    is_merge = lock.has_conflict_markers(content)
    if is_merge:
        content = lock.our_side(content)
    comparison = recompile.compare(lock_file, recompile.read_lock(lock_file, content), out)
    return _Site(comparison, is_merge)


def _refuse_removal(sites: Sequence[_Site]) -> None:
    """Refuse to delete a site whose spec is gone.

    The spec may have moved, or be on another branch.
    """
    lines = []
    for site in sites:
        comparison = site.comparison
        if comparison.recompilation is None:
            spec = comparison.lock.inputs.spec.path
            lines.append(
                f"{comparison.lock_file.full_path}:"
                f" its spec, {spec}, is gone or belongs to another site"
            )
    if lines:
        raise GenError("\n".join([*lines, _REMOVAL_HINT]))


def _write(directory: Path, changes: list[Change], lock_change: Change) -> list[PurePosixPath]:
    content = None
    if lock_change.artifact:
        content = lock_change.artifact.content
    return writer.apply(directory, changes, lock_change.path, content)


def _print_summary(
    sites: Sequence[_Site], pending: Sequence[tuple[Path, list[Change]]], backups: set[Path]
) -> None:
    written = 0
    for directory, changes in pending:
        for change in pending_changes(changes):
            written += 1
            say(f"  {DONE[change.action]:9} {directory / change.path}")
    for backup in sorted(backups):
        say(f"  {'backup':9} {backup}")
    for site in sites:
        recompilation = site.comparison.recompilation
        if recompilation and recompilation.site_status:
            say(f"Status of {site.comparison.lock.site}: {recompilation.site_status}")
    say(f"{count(len(sites), 'site')} regenerated, {count(written, 'file')} changed")


def _json(sites: Sequence[_Site], projects: Sequence[ProjectComparison], backups: set[Path]) -> str:
    entries = []
    for site in sites:
        comparison = site.comparison
        entries.append(
            {
                "site": comparison.lock.site,
                "directory": str(site.directory),
                "files": json_entries(comparison.changes),
            }
        )
    glue: list[dict[str, object]] = []
    for project in projects:
        files = json_entries(project.changes)
        glue.append({"directory": str(project.directory), "files": files})
    return codec.report({"sites": entries, "projects": glue, "backups": sorted(map(str, backups))})
