"""The changes of gen's own modules in Dagster projects, and of the locks that record them.

The other files of a project are the team's own; `changed_files` reports those.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from generator.compiler.emitters import dagster_project
from generator.errors import GenError
from generator.paths import OUTPUT_STATE
from generator.report.finding import Finding, refusals
from generator.revisions.changed_files import changed_paths
from generator.revisions.changes import file_finding, value_changes
from generator.revisions.file_changes import ChangedFile, changed_lines, is_project_lock
from generator.revisions.sides import Side
from generator.schema.meta import Weight
from generator.workspace import lock as locks
from generator.workspace import project_lock
from generator.workspace.project_lock import ProjectLock


@dataclass(frozen=True)
class ProjectReview:
    """The findings about projects, and the paths of all modules of gen in those that changed."""

    findings: list[Finding]
    modules: frozenset[str]


def review_projects(base: Side, head: Side) -> ProjectReview:
    """Compare the projects with a changed file: their modules, and their locks."""
    findings: list[Finding] = []
    modules: set[str] = set()
    changed = changed_paths(base.tree, head.tree)
    # A repository may have a thousand projects, and to parse a lock takes time.
    directories: set[str] = set()
    for path in changed:
        directories.update(map(str, PurePosixPath(path).parents))
    for path in sorted({*_lock_paths(base), *_lock_paths(head)}):
        directory = PurePosixPath(path).parent.parent
        if str(directory) not in directories:
            continue
        content = head.tree.real_content(path)
        if content is None:
            message = "the lock of the project was removed, and its modules stay unchecked"
            findings.append(_finding(path, message))
            continue
        try:
            lock = project_lock.parse(content, path)
        except GenError as error:
            findings += refusals(error, path, "")
            continue
        findings += _lock_changes(path, _parsed(base, path), lock)
        for module in dagster_project.glue(lock.project):
            module_path = str(directory / module.path)
            modules.add(module_path)
            if module_path in changed:
                findings += _module_change(head, module_path, module.content)
    return ProjectReview(findings, frozenset(modules))


def _lock_paths(side: Side) -> Iterable[str]:
    return filter(is_project_lock, side.tree.paths_in(OUTPUT_STATE.name))


def _parsed(side: Side, path: str) -> ProjectLock | None:
    try:
        return project_lock.parse(side.tree.real_content(path) or b"", path)
    except GenError:
        return None


def _lock_changes(path: str, base: ProjectLock | None, head: ProjectLock) -> Iterator[Finding]:
    """Yield the changes of a lock that gen would not make by itself."""
    if base == head:
        return
    written = {}
    for module in dagster_project.glue(head.project):
        written[module.path] = locks.written(module)
    if dict(head.glue) != written:
        # gen takes a module with the digest in the lock as its own, and overwrites it.
        yield _finding(path, "records digests of modules that gen does not write")
    if base is None:
        return
    before = [f"package {base.package}", f"site {base.site}", f"login {base.login}"]
    after = [f"package {head.package}", f"site {head.site}", f"login {head.login}"]
    # gen writes modules into the package of this name, whichever package users import.
    if before != after:
        yield _finding(path, "names another project", value_changes(before, after))
    # A merge starts from these lines: with others, an update would take back the team's own.
    if base.template == head.template and base.base != head.base:
        yield _finding(path, "records other first files, and the template is the same")
    elif base.template != head.template:
        message = "a newer template was merged into the project"
        yield _finding(path, message, weight=Weight.ACCESS)


def _module_change(head: Side, path: str, compiled: bytes) -> Iterator[Finding]:
    content = head.tree.real_content(path)
    entry = head.tree.files.get(path)
    if content is None:
        yield _finding(path, "was deleted, and gen writes it")
    elif entry is None or entry.is_link:
        yield _finding(path, "is a link now")
    elif content != compiled:
        change = ChangedFile(path, path, before=compiled, after=content)
        message = "was changed, and is not what gen writes"
        yield _finding(path, message, changed_lines(change))


def _finding(
    path: str, message: str, details: Iterable[str] = (), weight: Weight = Weight.TRUST
) -> Finding:
    return file_finding(weight, path, message, details=details)
