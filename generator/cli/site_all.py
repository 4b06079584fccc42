"""`gen site --all`: generate every site below a directory again, from the inputs in its lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from generator import codec
from generator.cli.file_changes import DONE, json_entries, preview, refuse_conflicts
from generator.cli.output import data, say
from generator.errors import GenError
from generator.formatting import count
from generator.workspace import lock, recompile, writer
from generator.workspace.accepted_drift import accepted_files
from generator.workspace.plan import Action
from generator.workspace.reader import LockFile
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
    sites = _read_sites(out, today)
    if dry_run:
        preview([(site.directory, site.comparison.changes) for site in sites], out)
        return 0
    if not force:
        _refuse_removal(sites)
        # After a merge, git has edited the files: to refuse them would leave no way out.
        edited = [site for site in sites if not site.is_merge]
        refuse_conflicts([(site.directory, site.comparison.changes) for site in edited])
    _print_inputs(sites)
    backups = set[Path]()
    for site in sites:
        for path in _write(site.comparison):
            backups.add(site.directory / path)
    if as_json:
        data(_json(sites, backups))
    else:
        _print_summary(sites, backups)
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
        is_changed = any(change.action is not Action.KEEP for change in comparison.changes)
        if not (trusted or is_changed):
            continue
        others = [f"spec {inputs.spec.path}"]
        for name, value in inputs.profile.items():
            if name != "accept_unverified":
                others.append(f"{name} {value}")
        if inputs.project:
            others.append(f"project {inputs.project.folder}")
        values = ", ".join([*trusted, *others])
        say(f"From {comparison.lock_file.full_path}: {values}")


def _read_sites(out: Path, today: date) -> list[_Site]:
    sites: list[_Site] = []
    faults: list[str] = []
    survey = recompile.survey(out)
    for lock_file in survey.locks:
        try:
            sites.append(_read_site(lock_file, out))
        except GenError as error:
            faults.append(str(error))
    if faults:
        raise GenError("\n".join([*faults, "Nothing was written."]))
    accepted = accepted_files(recompile.accepted_lists(out, survey), today)
    return [_Site(site.comparison.without_accepted(accepted), site.is_merge) for site in sites]


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


def _write(comparison: Comparison) -> list[PurePosixPath]:
    lock_file = comparison.lock_file
    artifact = comparison.lock_change.artifact
    content = None
    if artifact:
        content = artifact.content
    return writer.apply(lock_file.directory, comparison.changes, lock_file.path, content)


def _print_summary(sites: Sequence[_Site], backups: set[Path]) -> None:
    written = 0
    for site in sites:
        for change in site.comparison.changes:
            if change.action is not Action.KEEP:
                written += 1
                say(f"  {DONE[change.action]:9} {site.directory / change.path}")
    for backup in sorted(backups):
        say(f"  {'backup':9} {backup}")
    for site in sites:
        recompilation = site.comparison.recompilation
        if recompilation and recompilation.site_status:
            say(f"Status of {site.comparison.lock.site}: {recompilation.site_status}")
    say(f"{count(len(sites), 'site')} regenerated, {count(written, 'file')} changed")


def _json(sites: Sequence[_Site], backups: set[Path]) -> str:
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
    return codec.report({"sites": entries, "backups": sorted(map(str, backups))})
