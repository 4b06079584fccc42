"""Report the changes of specs and locks between two revisions of a repository."""

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path, PurePosixPath

from generator.compiler.artifact import Artifact
from generator.compiler.compile import compile_site
from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.report.finding import Finding, Report, refusals
from generator.revisions import git
from generator.revisions.changes import SpecFile, ordered, spec_changes
from generator.revisions.lock_changes import lock_changes
from generator.revisions.sides import Side, committed, work_tree
from generator.schema.profile import SiteProfile
from generator.workspace import lock
from generator.workspace.patch import diff
from generator.workspace.plan import Actual, plan

# The patch of a review shows artifacts without any user's values.
_NO_PROFILE = SiteProfile()


def revision_report(base: str, head: str | None, specs: Path, today: date) -> Report:
    """Review the changes since two revisions parted.

    Without `head`, up to the files in the work tree.
    """
    directory = Path(os.path.relpath(specs))
    base_commit, head_commit = git.commit(base), git.commit(head or "HEAD")
    git.top()  # refuses a bare repository, where git would list no file and report no change
    old = committed(git.fork(base, base_commit, head_commit), directory)
    new = committed(head_commit, directory) if head else work_tree(directory)
    if not (_has_specs(old, directory) or _has_specs(new, directory)):
        raise GenError(
            f"{specs}: has no specs, neither at {base} nor now; name their directory with --specs"
        )
    before, _ = _spec_files(_differing(old.specs, new.specs))
    after, faults = _spec_files(_differing(new.specs, old.specs))
    faults += new.faults
    # Of a spec that cannot be read now, nothing can be said to have changed.
    refused_files = {fault.file for fault in faults}
    before = {name: spec for name, spec in before.items() if spec.path not in refused_files}
    patch = ""
    for name in sorted({*before, *after}):
        site_patch, site_faults = _effect(before.get(name), after.get(name))
        patch += site_patch
        faults += site_faults
    findings = [
        *faults,
        *lock_changes(old.locks, new.locks),
        *spec_changes(before, after, today),
    ]
    return Report("review", len(new.specs), tuple(ordered(findings)), patch)


def _has_specs(side: Side, directory: Path) -> bool:
    return any(Path(path).parent == directory for path in side.specs)


def _differing(specs: Mapping[str, bytes], others: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in specs.items() if others.get(path) != content}


def _spec_files(specs: Mapping[str, bytes]) -> tuple[dict[str, SpecFile], list[Finding]]:
    """Return the valid specs by the names of their sites, and the faults of the others."""
    spec_files: dict[str, SpecFile] = {}
    faults: list[Finding] = []
    for path, content in sorted(specs.items()):
        try:
            spec_file = _spec_file(path, content, spec_files)
        except GenError as error:
            faults += refusals(error, path, Path(path).stem)
        else:
            spec_files[spec_file.site.site] = spec_file
    return spec_files, faults


def _spec_file(path: str, content: bytes, others: Mapping[str, SpecFile]) -> SpecFile:
    document = yaml_document.parse(content, path)
    site = validate.spec(document, path)
    if site.site in others:
        line = document.at("site").line
        raise GenError(
            f"{path}:{line}: site: {site.site} is also the site of {others[site.site].path}"
        )
    return SpecFile(path, document, site)


def _effect(before: SpecFile | None, after: SpecFile | None) -> tuple[str, list[Finding]]:
    """Return the patch to the files of a site, and the faults that prevent it."""
    old_artifacts, _ = _compiled(before)
    new_artifacts, faults = _compiled(after)
    if faults:
        return "", faults
    actual = {item.path: Actual(item.content, item.mode) for item in old_artifacts}
    written = {item.path: lock.written(item) for item in old_artifacts}
    return diff(plan(new_artifacts, actual, written), PurePosixPath()), []


def _compiled(spec_file: SpecFile | None) -> tuple[list[Artifact], list[Finding]]:
    if spec_file is None:
        return [], []
    try:
        return compile_site(spec_file.site, _NO_PROFILE), []
    except GenError as error:
        return [], refusals(error, spec_file.path, Path(spec_file.path).stem)
