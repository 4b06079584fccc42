"""`gen review BASE [HEAD]`: what a change of the specs means. Imports nothing that writes."""

import os
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path, PurePosixPath

from generator import document, git, load, tree
from generator.compile import compile_site
from generator.errors import GenError
from generator.lock import Written, digest
from generator.plan import Actual, plan
from generator.profile import Person
from generator.report.diff import diff
from generator.report.finding import Finding, Report, refused, summary
from generator.report.format import Format
from generator.report.rendered import rendered
from generator.review import Sheet, ordered, review
from generator.terminal import data, say

_NOBODY = Person()


def run(base: str, head: str | None, specs: Path, form: Format, today: date) -> int:
    """Print what changes since two revisions parted; without a second one, up to the files as they are.

    The status is 2 where a new spec has faults, else 0: a proposal is for people to judge.

    Raises:
        GenError: no such revision, or no specs at either side.
    """
    old, new = _sides(base, head, Path(os.path.relpath(specs)))
    if not old and not new:
        raise GenError(f"{specs}: holds no specs, neither at {base} nor now (--specs names another folder)")
    before, _ = _sheets({path: content for path, content in old.items() if new.get(path) != content})
    after, faults = _sheets({path: content for path, content in new.items() if old.get(path) != content})
    refused_files = {fault.file for fault in faults}
    before = {name: sheet for name, sheet in before.items() if sheet.path not in refused_files}
    findings = ordered([*faults, *review(before, after, today)])
    report = Report("proposal", len(new), tuple(findings), "".join(_effect(before, after)))
    data(rendered(report, form))
    say(summary(report))
    return 2 if faults else 0


def _sides(base: str, head: str | None, specs: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the specs where the two parted, and those of the second."""
    start, tip = git.commit(base), git.commit(head or "HEAD")
    old = git.files(git.fork(start, tip), specs.as_posix())
    if head:
        return old, git.files(tip, specs.as_posix())
    root = Path(git.top())
    folder = tree.real(root, PurePosixPath(os.path.relpath(specs.absolute(), root)))
    places = {PurePosixPath(os.path.relpath(path, root.resolve())): specs / path.name for path in folder.glob("*.yaml")}
    return old, {str(places[path]): found.content for path, found in tree.actual(root, places).items()}


def _sheets(specs: Mapping[str, bytes]) -> tuple[dict[str, Sheet], list[Finding]]:
    """Return the specs by the names of their sites, and the faults of those that have some."""
    sheets: dict[str, Sheet] = {}
    faults: list[Finding] = []
    for path, content in sorted(specs.items()):
        try:
            root = document.parse(content, path)
            site = load.spec(root, path)
            sheets[site.site] = Sheet(path, root, site)
        except GenError as error:
            faults += [refused(line, path, Path(path).stem) for line in str(error).splitlines()]
    return sheets, faults


def _effect(before: Mapping[str, Sheet], after: Mapping[str, Sheet]) -> Iterator[str]:
    """Yield the patch to the files of each site, as they are compiled for nobody in particular."""
    for name in sorted({*before, *after}):
        old = compile_site(before[name].site, _NOBODY) if name in before else []
        new = compile_site(after[name].site, _NOBODY) if name in after else []
        actual = {item.path: Actual(item.content, item.mode) for item in old}
        written = {item.path: Written(digest(item.content), item.mode, item.owner) for item in old}
        yield diff(plan(new, actual, written), PurePosixPath())
