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
from generator.loading import catalogue, validate, yaml_document
from generator.report.finding import Finding, Report, refusals
from generator.revisions import git
from generator.revisions.accepted_changes import accepted_change
from generator.revisions.changes import (
    SpecFile,
    ordered,
    overriding_changes,
    spec_changes,
)
from generator.revisions.file_changes import Explanation, file_changes, seeded_changes
from generator.revisions.lock_changes import ReviewedLock, forged_digests, lock_changes
from generator.revisions.sides import (
    Side,
    changed_catalogue,
    changed_files,
    changed_lists,
    changed_project_code,
    differing_specs,
    refuse_links_out,
    side,
)
from generator.revisions.tree import committed, work_tree
from generator.schema.profile import SiteProfile
from generator.workspace import lock
from generator.workspace.patch import diff
from generator.workspace.plan import Actual, plan
from generator.workspace.required_version import check_version

USUAL_SPECS = Path("site_specs")
# The patch of a review shows artifacts without any user's values.
_NO_PROFILE = SiteProfile()


def revision_report(base: str, head: str | None, specs: Path, today: date) -> Report:
    """Review the changes since two revisions parted.

    Without `head`, up to the files in the work tree.
    """
    directory = os.path.relpath(specs)
    base_commit, head_commit = git.commit(base), git.commit(head or "HEAD")
    check_version(Path(), __version__)
    parsed: dict[tuple[str, str], ReviewedLock] = {}
    git.top()  # refuses a bare repository, where git would list no file and report no change
    old = side(committed(git.fork(base, base_commit, head_commit)), parsed)
    new = side(committed(head_commit) if head else work_tree(), parsed)
    refuse_links_out(new, directory)
    _refuse_nothing(old, new, specs, base)
    before_paths, after_paths = differing_specs(old, new, directory)
    before, _ = _spec_files(old, before_paths)
    after, faults = _spec_files(new, after_paths)
    faults += new.faults
    # Of a spec that cannot be read now, nothing can be said to have changed.
    refused_files = {fault.file for fault in faults}
    for name, spec in list(before.items()):
        if spec.path in refused_files:
            del before[name]
    patch = ""
    for name in sorted({*before, *after}):
        site_patch, site_faults = _effect(before.get(name), after.get(name))
        patch += site_patch
        faults += site_faults
    lock_findings = lock_changes(old.locks, new.locks, frozenset(new.tree.files))
    for path, lock_file in new.locks.items():
        if old.locks.get(path) is not lock_file:
            lock_findings += forged_digests(lock_file, new.artifacts(lock_file))
    catalogue_findings = changed_catalogue(old, new)
    changed_locks = {finding.path for finding in [*lock_findings, *catalogue_findings]}
    for path, lock_file in new.locks.items():
        if lock_file.spec in after_paths:
            changed_locks.add(path)
    explanation = Explanation(old.locks, new.locks, frozenset(changed_locks), new.artifacts)
    findings = [
        *faults,
        *spec_changes(before, after, today),
        *_overriding_changes(before, after),
        *catalogue_findings,
        *lock_findings,
        *_accepted_changes(old, new),
        *file_changes(changed_files(old, new), explanation),
        *seeded_changes(changed_project_code(old, new)),
    ]
    return Report("review", len(new.specs(directory)), tuple(ordered(findings)), patch)


def _overriding_changes(
    before: Mapping[str, SpecFile], after: Mapping[str, SpecFile]
) -> list[Finding]:
    findings: list[Finding] = []
    for name, spec in after.items():
        shipped = catalogue.shipped().get(name)
        if name not in before and shipped:
            content = read_regular(shipped)
            findings += overriding_changes(_spec_file(str(shipped), content, {}), spec)
    return findings


def _accepted_changes(old: Side, new: Side) -> list[Finding]:
    findings = []
    for path in changed_lists(old, new):
        contents = old.tree.real_content(path), new.tree.real_content(path)
        findings.append(accepted_change(path, *contents))
    return findings


def _refuse_nothing(old: Side, new: Side, specs: Path, base: str) -> None:
    """Refuse a review of nothing: no specs and locks, or no specs in the user's directory."""
    directory = os.path.relpath(specs)
    if any(
        Path(path).parent == Path(directory)
        for path in [*old.specs(directory), *new.specs(directory)]
    ):
        return
    # Without a choice of the user, the locks say where specs are.
    if specs == USUAL_SPECS and (old.locks or new.locks):
        return
    raise GenError(
        f"{specs}: has no specs, neither at {base} nor now; name their directory with --specs"
    )


def _spec_files(side: Side, paths: list[str]) -> tuple[dict[str, SpecFile], list[Finding]]:
    """Return the valid specs by the names of their sites, and the faults of the others."""
    spec_files: dict[str, SpecFile] = {}
    faults: list[Finding] = []
    side.tree.load(paths)
    for path in paths:
        try:
            spec_file = _spec_file(path, side.spec_content(path) or b"", spec_files)
        except GenError as error:
            faults += refusals(error, path, Path(path).stem)
        else:
            spec_files[spec_file.site.site] = spec_file
    return spec_files, faults


def _spec_file(path: str, content: bytes, compared: Mapping[str, SpecFile]) -> SpecFile:
    document = yaml_document.parse(content, path)
    site = validate.spec(document, path)
    if site.site in compared:
        line = document.at("site").line
        raise GenError(
            f"{path}:{line}: site: {site.site} is also the site of {compared[site.site].path}"
        )
    return SpecFile(path, document, site)


def _effect(before: SpecFile | None, after: SpecFile | None) -> tuple[str, list[Finding]]:
    """Return the patch to the files of a site, and the faults that prevent it."""
    old_artifacts, _ = _compiled(before)
    new_artifacts, faults = _compiled(after)
    if faults:
        return "", faults
    # As if the files of the base were on disk and unchanged, so that nothing is a conflict.
    actual: dict[PurePosixPath, Actual] = {}
    written: dict[PurePosixPath, lock.Written] = {}
    for artifact in old_artifacts:
        actual[artifact.path] = Actual(artifact.content, artifact.mode)
        written[artifact.path] = lock.written(artifact)
    return diff(plan(new_artifacts, actual, written), PurePosixPath()), []


def _compiled(spec_file: SpecFile | None) -> tuple[list[Artifact], list[Finding]]:
    if spec_file is None:
        return [], []
    try:
        return compile_site(spec_file.site, _NO_PROFILE), []
    except GenError as error:
        return [], refusals(error, spec_file.path, Path(spec_file.path).stem)
