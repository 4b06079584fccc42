"""Report the changes of specs and locks between two revisions of a repository."""

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path, PurePosixPath

from generator import __version__
from generator.compiler.artifact import Artifact
from generator.compiler.compile import compile_site
from generator.errors import GenError
from generator.files import read_regular
from generator.loading import catalogue
from generator.report.finding import Finding, Report, refusals
from generator.revisions import git
from generator.revisions.accepted_changes import accepted_change
from generator.revisions.changed_files import changed_files, changed_project_code
from generator.revisions.changes import (
    SpecFile,
    ordered,
    overridden_changes,
    overriding_changes,
    spec_changes,
    spec_file,
)
from generator.revisions.file_changes import Explanation, file_changes, seeded_changes
from generator.revisions.lock_changes import ReviewedLock, forged_digests, forged_spec, lock_changes
from generator.revisions.project_changes import review_projects
from generator.revisions.sides import (
    USUAL_DIRECTORY,
    Side,
    changed_lists,
    changed_sources,
    changes_outside,
    differing_specs,
    has_only_moved,
    refuse_links_out,
    side,
)
from generator.revisions.tree import committed, work_tree
from generator.schema.profile import SiteProfile
from generator.workspace import lock
from generator.workspace.patch import diff
from generator.workspace.plan import Actual, plan
from generator.workspace.required_version import check_version

USUAL_SPECS = Path(USUAL_DIRECTORY)
# The patch of a review shows artifacts without any user's values.
_NO_PROFILE = SiteProfile()


def revision_report(base: str, head: str | None, specs: Path, today: date) -> Report:
    """Review the changes since two revisions parted.

    Without `head`, up to the files in the work tree.
    """
    directory = os.path.relpath(specs)
    base_commit, head_commit = git.commit(base), git.commit(head or "HEAD")
    parsed: dict[tuple[str, str], ReviewedLock] = {}
    git.top()  # refuses a bare repository, where git would list no file and report no change
    base_side = side(committed(git.fork(base, base_commit, head_commit)), parsed)
    head_side = side(committed(head_commit) if head else work_tree(), parsed)
    directories = [Path(lock_file.directory) for lock_file in head_side.locks.values()]
    check_version(Path(), __version__, directories)
    refuse_links_out(head_side, directory)
    _refuse_nothing(base_side, head_side, specs, base)
    base_paths, head_paths = differing_specs(base_side, head_side, directory)
    base_specs, _ = _spec_files(base_side, base_paths)
    head_specs, faults = _spec_files(head_side, head_paths)
    faults += head_side.faults
    # Of a spec that cannot be read now, nothing can be said to have changed.
    refused_files = {fault.file for fault in faults}
    for name, spec in list(base_specs.items()):
        if spec.path in refused_files:
            del base_specs[name]
    patch = ""
    for name in sorted({*base_specs, *head_specs}):
        site_patch, site_faults = _effect(base_specs.get(name), head_specs.get(name))
        patch += site_patch
        faults += site_faults
    lock_findings = _lock_findings(base_side, head_side)
    catalogue_findings = changes_outside(base_side, head_side)
    changed_locks = {finding.path for finding in [*lock_findings, *catalogue_findings]}
    for path, lock_file in head_side.locks.items():
        if head_side.spec_path(lock_file) in head_paths:
            changed_locks.add(path)
    explanation = Explanation(
        base_side.locks, head_side.locks, frozenset(changed_locks), head_side.artifacts
    )
    projects = review_projects(base_side, head_side)
    findings = [
        *faults,
        *spec_changes(base_specs, head_specs, today),
        *_overriding_changes(base_specs, head_specs),
        *catalogue_findings,
        *lock_findings,
        *changed_sources(base_side, head_side),
        *_accepted_changes(base_side, head_side),
        *file_changes(changed_files(base_side, head_side, directory), explanation),
        *projects.findings,
        *seeded_changes(changed_project_code(base_side, head_side, projects.modules)),
    ]
    return Report("review", len(head_side.specs(directory)), tuple(ordered(findings)), patch)


def _lock_findings(base: Side, head: Side) -> list[Finding]:
    """Return the changes of locks, and the entries of changed locks that gen did not write."""
    findings = lock_changes(
        base.locks,
        head.locks,
        frozenset(head.tree.files),
        lambda before, after: has_only_moved(base, head, before, after),
    )
    for path, lock_file in head.locks.items():
        base_lock = base.locks.get(path)
        if base_lock is lock_file:
            continue
        findings += forged_digests(lock_file, head.artifacts(lock_file))
        expected = head.current_spec(lock_file)
        if expected:
            findings += forged_spec(lock_file, base_lock, expected)
    return findings


def _overriding_changes(
    base: Mapping[str, SpecFile], head: Mapping[str, SpecFile]
) -> list[Finding]:
    """Return the changes for sites of the catalogue that specs begin or cease to override."""
    findings: list[Finding] = []
    for name in {*base, *head} - (base.keys() & head.keys()):
        spec = head.get(name) or base[name]
        path = catalogue.shipped().get(spec.site.site)
        if path is None:
            continue
        shipped = spec_file(str(path), read_regular(path))
        if name in head:
            findings += overriding_changes(shipped, spec)
        else:
            findings += overridden_changes(spec, shipped)
    return findings


def _accepted_changes(base: Side, head: Side) -> list[Finding]:
    findings = []
    for path in changed_lists(base, head):
        contents = base.tree.real_content(path), head.tree.real_content(path)
        findings.append(accepted_change(path, *contents))
    return findings


def _refuse_nothing(base: Side, head: Side, specs: Path, base_name: str) -> None:
    """Refuse a review of nothing: no specs and locks, or no specs in the user's directory."""
    directory = os.path.relpath(specs)
    for path in [*base.specs(directory), *head.specs(directory)]:
        if Path(path).parent == Path(directory):
            return
    # Without a choice of the user, the locks say where specs are.
    if specs == USUAL_SPECS and (base.locks or head.locks or head.specs(directory)):
        return
    if base.record.sources or head.record.sources:
        return
    raise GenError(
        f"{specs}: has no specs, neither at {base_name} nor now; name their directory with --specs"
    )


def _spec_files(side: Side, paths: list[str]) -> tuple[dict[str, SpecFile], list[Finding]]:
    """Return the valid specs by the names of their sites, and the faults of the others."""
    spec_files: dict[str, SpecFile] = {}
    faults: list[Finding] = []
    side.tree.load(paths)
    for path in paths:
        try:
            reviewed = spec_file(path, side.spec_content(path) or b"")
            name = _unique_name(reviewed, spec_files)
        except GenError as error:
            faults += refusals(error, path, Path(path).stem)
        else:
            spec_files[name] = reviewed
    return spec_files, faults


def _unique_name(spec_file: SpecFile, spec_files: Mapping[str, SpecFile]) -> str:
    """Return the name of the site, or with its directory if another directory has such a site.

    Refuse a second spec of a site in one directory: gen would take either.
    """
    site = spec_file.site.site
    directory = PurePosixPath(spec_file.path).parent
    for name in (site, f"{site} in {directory}"):
        if name not in spec_files:
            return name
        if PurePosixPath(spec_files[name].path).parent == directory:
            break
    line = spec_file.document.at("site").line
    raise GenError(
        f"{spec_file.path}:{line}: site: {site} is also the site of {spec_files[name].path}"
    )


def _effect(base: SpecFile | None, head: SpecFile | None) -> tuple[str, list[Finding]]:
    """Return the patch to the files of a site, and the faults that prevent it."""
    base_artifacts, _ = _compiled(base)
    head_artifacts, faults = _compiled(head)
    if faults:
        return "", faults
    # As if the files of the base were on disk and unchanged, so that nothing is a conflict.
    actual: dict[PurePosixPath, Actual] = {}
    written: dict[PurePosixPath, lock.Written] = {}
    for artifact in base_artifacts:
        actual[artifact.path] = Actual(artifact.content, artifact.mode)
        written[artifact.path] = lock.written(artifact)
    return diff(plan(head_artifacts, actual, written), PurePosixPath()), []


def _compiled(spec_file: SpecFile | None) -> tuple[list[Artifact], list[Finding]]:
    if spec_file is None:
        return [], []
    try:
        return compile_site(spec_file.site, _NO_PROFILE), []
    except GenError as error:
        return [], refusals(error, spec_file.path, Path(spec_file.path).stem)
