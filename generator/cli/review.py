"""`gen review BASE [HEAD]`: what a change of the specs means. Imports nothing that writes."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from generator.cli.output import data, say
from generator.compiler.artifact import Artifact
from generator.compiler.compile import compile_site
from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.report.finding import Finding, Report, refusals, summary
from generator.report.format import Format
from generator.report.rendered import rendered
from generator.revisions import git
from generator.revisions.changes import Sheet, lock_changes, ordered, review
from generator.schema.profile import SiteProfile
from generator.workspace import lock, reader, recompile
from generator.workspace.patch import diff
from generator.workspace.plan import Actual, plan

_NOBODY = SiteProfile()


@dataclass(frozen=True)
class Side:
    """The specs and the locks of one revision, or of the files as they are, by their paths from here."""

    specs: Mapping[str, bytes]
    locks: Mapping[str, lock.Lock]
    faults: tuple[Finding, ...] = ()
    """Specs that cannot be read."""


def run(base: str, head: str | None, specs: Path, form: Format, today: date) -> int:
    """Print the review of two revisions.

    The status is 2 where a new spec has faults, else 0: a proposal is for people to judge.
    """
    report = revision_report(base, head, specs, today)
    data(rendered(report, form))
    say(summary(report))
    return 2 if any(finding.rule == "refused" for finding in report.findings) else 0


def revision_report(base: str, head: str | None, specs: Path, today: date) -> Report:
    """Review what changes between two revisions; without a second one, up to the files in the work tree.

    Raises:
        GenError: no such revision, or no specs at either side.
    """
    folder = Path(os.path.relpath(specs))
    start, tip = git.commit(base), git.commit(head or "HEAD")
    old = _committed(git.fork(start, tip), folder)
    new = _committed(tip, folder) if head else _as_it_is(folder)
    if not any(Path(path).parent == folder for side in (old, new) for path in side.specs):
        raise GenError(
            f"{specs}: holds no specs, neither at {base} nor now (--specs names another folder)"
        )
    before, _ = _sheets(
        {path: content for path, content in old.specs.items() if new.specs.get(path) != content}
    )
    after, faults = _sheets(
        {path: content for path, content in new.specs.items() if old.specs.get(path) != content}
    )
    faults += new.faults
    refused_files = {fault.file for fault in faults}
    before = {name: sheet for name, sheet in before.items() if sheet.path not in refused_files}
    effects = [_effect(before.get(name), after.get(name)) for name in sorted({*before, *after})]
    faults += [fault for _, broken in effects for fault in broken]
    findings = ordered(
        [*faults, *lock_changes(old.locks, new.locks), *review(before, after, today)]
    )
    patch = "".join(patch for patch, _ in effects)
    return Report("review", len(new.specs), tuple(findings), patch)


def _committed(revision: str, folder: Path) -> Side:
    locks = _parsed(git.locks(revision))
    specs = git.specs(revision, folder.as_posix())
    named = {path: git.blob(revision, path) for path in _named(locks)}
    return Side(
        specs | {path: content for path, content in named.items() if content is not None}, locks
    )


def _as_it_is(folder: Path) -> Side:
    """Read the work tree, and nothing that a link leads to outside of it."""
    root = Path(git.top())
    contents = {}
    for place, where in reader.locks(Path()):
        with suppress(GenError):  # gen check tells of it
            contents[str(place / where)] = recompile.content(place, where)
    locks = _parsed(contents)
    real = reader.real(root, PurePosixPath(os.path.relpath(folder.absolute(), root)))
    paths = (
        [str(folder / path.name) for path in sorted(real.glob("*.yaml"))] if real.is_dir() else []
    )
    specs: dict[str, bytes] = {}
    faults: list[Finding] = []
    for path in dict.fromkeys([*paths, *_named(locks)]):
        where = PurePosixPath(os.path.relpath(Path(path).absolute(), root))
        try:
            found = reader.actual(root, [where]).get(where)
        except GenError as error:
            faults += refusals(error, path, Path(path).stem)
        else:
            specs |= {path: found.content} if found else {}
    return Side(specs, locks, tuple(faults))


def _parsed(contents: Mapping[str, bytes]) -> dict[str, lock.Lock]:
    """Return the locks that can be read; gen check tells of the others."""
    found = {}
    for path, content in contents.items():
        with suppress(GenError):
            found[path] = lock.parse(content, path)
    return found


def _named(locks: Mapping[str, lock.Lock]) -> list[str]:
    """Return the specs that locks name, wherever they are in the repository."""
    own = [(path, was.inputs.spec) for path, was in locks.items()]
    paths = [
        os.path.normpath(PurePosixPath(path).parent.parent / spec.path)
        for path, spec in own
        if spec.catalogue_name is None
    ]
    return [path for path in paths if not path.startswith(("..", "/"))]


def _sheets(specs: Mapping[str, bytes]) -> tuple[dict[str, Sheet], list[Finding]]:
    """Return the specs by the names of their sites, and the faults of those that have some."""
    sheets: dict[str, Sheet] = {}
    faults: list[Finding] = []
    for path, content in sorted(specs.items()):
        try:
            root = yaml_document.parse(content, path)
            site = validate.spec(root, path)
            if site.site in sheets:
                other = sheets[site.site].path
                raise GenError(
                    f"{path}:{root.at('site').line}: site: {site.site} is also that of {other}"
                )
            sheets[site.site] = Sheet(path, root, site)
        except GenError as error:
            faults += refusals(error, path, Path(path).stem)
    return sheets, faults


def _effect(before: Sheet | None, after: Sheet | None) -> tuple[str, list[Finding]]:
    """Return the patch to the files of a site, as they are compiled for nobody in particular, and what stops that."""
    old, _ = _compiled(before)
    new, faults = _compiled(after)
    actual = {item.path: Actual(item.content, item.mode) for item in old}
    written = {item.path: lock.written(item) for item in old}
    return "" if faults else diff(plan(new, actual, written), PurePosixPath()), faults


def _compiled(sheet: Sheet | None) -> tuple[list[Artifact], list[Finding]]:
    try:
        return (compile_site(sheet.site, _NOBODY) if sheet else []), []
    except GenError as error:
        path = sheet.path if sheet else ""
        return [], refusals(error, path, Path(path).stem)
