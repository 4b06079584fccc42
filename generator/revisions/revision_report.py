"""Report the changes of specs and locks between two revisions of a repository."""

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path, PurePosixPath

from generator import __version__
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
from generator.workspace.required_version import check_version

# The patch of a review shows artifacts without any user's values.
_NO_PROFILE = SiteProfile()


def revision_report(base: str, head: str | None, specs: Path, today: date) -> Report:
    """Review the changes since two revisions parted.

    Without `head`, up to the files in the work tree.
    """
    directory = Path(os.path.relpath(specs))
    base_commit, head_commit = git.commit(base), git.commit(head or "HEAD")
    check_version(Path(), __version__)
    git.top()  # refuses a bare repository, where git would list no file and report no change
    base_side = committed(git.fork(base, base_commit, head_commit), directory)
    head_side = committed(head_commit, directory) if head else work_tree(directory)
    if not (_has_specs(base_side, directory) or _has_specs(head_side, directory)):
        raise GenError(
            f"{specs}: has no specs, neither at {base} nor now; name their directory with --specs"
        )
    # Only the specs that differ: to validate a whole catalogue twice would change nothing.
    before, _ = _spec_files(_differing(base_side.specs, head_side.specs))
    after, faults = _spec_files(_differing(head_side.specs, base_side.specs))
    faults += head_side.faults
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
    findings = [
        *faults,
        *lock_changes(base_side.locks, head_side.locks),
        *spec_changes(before, after, today),
    ]
    return Report("review", len(head_side.specs), tuple(ordered(findings)), patch)


def _has_specs(side: Side, directory: Path) -> bool:
    return any(Path(path).parent == directory for path in side.specs)


def _differing(specs: Mapping[str, bytes], compared: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the specs that the other side has otherwise, or does not have."""
    differing: dict[str, bytes] = {}
    for path, content in specs.items():
        if compared.get(path) != content:
            differing[path] = content
    return differing


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
