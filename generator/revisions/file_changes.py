"""The changes of files that programs read.

A reported change of a spec, an input or gen explains one; any other is a finding itself.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from difflib import unified_diff
from functools import cached_property
from pathlib import PurePosixPath

from generator import paths
from generator.compiler.artifact import Artifact
from generator.formatting import cut, listed
from generator.report.finding import Finding
from generator.revisions.changes import LEVELS, value_changes
from generator.revisions.lock_changes import ReviewedLock
from generator.revisions.pinned_gen import indexes, pinned_gen
from generator.revisions.trusted_files import is_dependency_list, reader
from generator.schema.meta import Weight
from generator.workspace.redaction import masked

# A reader of a report judges the first lines; git diff has the others.
_MOST_LINES = 100
_MOST_CHARACTERS = 5000
# difflib takes minutes for a file of 1 MiB, and a pull request may have many.
_MOST_COMPARED = 4000
# git takes a file with a NUL byte for binary too (xdiff-interface.c).
_BINARY = b"\0"
# unified_diff begins with `---` and `+++`.
_HEADER_LINES = 2


@dataclass(frozen=True)
class ChangedFile:
    """A file that differs between the two sides; links are followed."""

    path: str
    """The path at which programs read it."""
    location: str
    """Its own path, if a link leads to it."""
    before: bytes | None
    """``None`` if there was no such file."""
    after: bytes | None
    programs: str | None = None
    """The programs that read it."""
    link: str = ""
    """Target, if the head has a link."""
    submodule: str = ""
    """`OLD → NEW`, if it is the commit of a submodule."""
    executable: bool = False
    """Whether the head has an executable file."""


@dataclass(frozen=True)
class Explanation:
    """The locks of both sides, and the artifacts that those of the head compile to."""

    base: Mapping[str, ReviewedLock]
    head: Mapping[str, ReviewedLock]
    changed: frozenset[str]
    """Paths of the locks of the head whose inputs changed, or the spec that they name."""
    artifacts: Callable[[ReviewedLock], Mapping[str, Artifact]]
    """The artifacts of a lock by their paths; none if it cannot be compiled."""

    def owner(self, path: str, *, in_head: bool) -> ReviewedLock | None:
        """Return the lock that records a file, or whose site has a file of this path."""
        locks = self._head_locks if in_head else self._base_locks
        # The nearest output directory first: one may lie in another.
        for parent in PurePosixPath(path).parents:
            relative = PurePosixPath(path).relative_to(parent)
            for lock_file in locks.get(parent, ()):
                if relative in _possible_files(lock_file):
                    return lock_file
        return None

    @cached_property
    def _base_locks(self) -> Mapping[PurePosixPath, list[ReviewedLock]]:
        return _by_directory(self.base)

    @cached_property
    def _head_locks(self) -> Mapping[PurePosixPath, list[ReviewedLock]]:
        return _by_directory(self.head)


def _by_directory(locks: Mapping[str, ReviewedLock]) -> Mapping[PurePosixPath, list[ReviewedLock]]:
    directories: dict[PurePosixPath, list[ReviewedLock]] = {}
    for lock_file in locks.values():
        directories.setdefault(lock_file.directory, []).append(lock_file)
    return directories


def _possible_files(lock_file: ReviewedLock) -> set[PurePosixPath]:
    lock = lock_file.lock
    possible = {*lock.files, *paths.generated_files(lock.site)}
    if lock.inputs.project:
        possible.add(lock.inputs.project.wiring(lock.site))
    return possible


def is_watched(path: str, recorded: Set[str]) -> bool:
    """Return whether a change of a file has to be explained.

    Locks, those of projects and accepted drift are reported on their own.
    """
    if is_lock(path) or is_accepted_list(path) or is_project_lock(path):
        return False
    return path in recorded or reader(path) is not None or is_dependency_list(path)


def is_lock(path: str) -> bool:
    """Return whether a path is that of a lock."""
    # A repository has many files, and the text alone rules out nearly all of them.
    if not path.endswith(paths.LOCKS.suffix) or path.endswith(f"/{paths.SOURCES_LOCK}"):
        return False
    return PurePosixPath(path).match(str(paths.LOCKS))


def is_project_lock(path: str) -> bool:
    """Return whether a path is that of the lock of a Dagster project."""
    is_named_so = path.endswith(paths.PROJECT_LOCK.name)
    return is_named_so and PurePosixPath(path).match(str(paths.PROJECT_LOCK))


def is_accepted_list(path: str) -> bool:
    """Return whether a path is that of a list of accepted drift."""
    is_named_so = path.endswith(paths.ACCEPTED_DRIFT.name)
    return is_named_so and PurePosixPath(path).match(str(paths.ACCEPTED_DRIFT))


def file_changes(changes: list[ChangedFile], explanation: Explanation) -> Iterator[Finding]:
    """Yield a finding for each change that no reported change of spec, input or gen explains."""
    for change in changes:
        if change.submodule:
            message = "the submodule moved to another commit"
            yield _finding(change, "", message, (change.submodule,))
            continue
        owner = explanation.owner(change.path, in_head=True)
        if owner:
            yield from _generated(change, owner, explanation)
        elif change.after is None and explanation.owner(change.path, in_head=False):
            continue  # it went with its lock, which is a finding
        elif change.programs is None and is_dependency_list(change.path):
            yield from _pin_change(change)
        else:
            yield _foreign(change)


def _pin_change(change: ChangedFile) -> Iterator[Finding]:
    """Yield a finding if another gen will be installed: it compiles and reviews all the rest."""
    before, after = pinned_gen(change.before), pinned_gen(change.after)
    if before != after:
        yield _finding(change, "", "installs another gen", value_changes(before, after))
    before, after = indexes(change.before), indexes(change.after)
    if before != after:
        message = "installs packages from another index, and gen may be one of them"
        yield _finding(change, "", message, value_changes(before, after))


def seeded_changes(paths_by_project: Mapping[str, list[str]]) -> Iterator[Finding]:
    """Yield one finding for each Dagster project with changed code that runs at its site.

    The modules beside `sites/` are gen's, and `gen check` compares them. All other code is the
    team's own, so gen has nothing to compare it with.
    """
    for project, changed in paths_by_project.items():
        message = (
            f"code that runs at the site changed ({listed(changed)});"
            " gen check compares only the modules beside sites/, and the rest is the team's own"
        )
        yield Finding(
            rule=Weight.ACCESS,
            level=LEVELS[Weight.ACCESS],
            message=message,
            site="",
            file=project,
            path=changed[0],
            key=project,
        )


def _generated(
    change: ChangedFile, owner: ReviewedLock, explanation: Explanation
) -> Iterator[Finding]:
    site = owner.lock.site
    artifact = explanation.artifacts(owner).get(change.path)
    is_explained = owner.path in explanation.changed
    if change.link:
        yield _finding(change, site, "is a link now", (f"to {change.link}",))
    elif artifact is None:
        if change.after is None and is_explained:
            return
        if change.after is None:
            yield _finding(change, site, "was deleted, and no input of its site changed")
        else:
            message = f"{_kind(change)}, and gen does not generate it for {site}"
            yield _finding(change, site, message, changed_lines(change))
    elif change.after is None:
        yield _finding(change, site, "was deleted, and its spec compiles to it")
    elif change.after != artifact.content:
        message = f"{_kind(change)}, and is not what its spec compiles to"
        # Against the compiled file: the old content may have been wrong too, which would hide the
        # difference.
        expected = replace(change, before=artifact.content)
        yield _finding(change, site, message, changed_lines(expected))
    # git keeps only this bit of a mode.
    elif change.executable != bool(artifact.mode & 0o100):
        yield _finding(change, site, "its mode is not that of the generated file")
    elif not is_explained:
        message = "was changed back to what its spec compiles to"
        yield _finding(change, site, message, weight=Weight.TUNING)


def _foreign(change: ChangedFile) -> Finding:
    if change.programs:
        message = f"{_kind(change)}; gen does not generate it, and {change.programs} may read it"
    else:
        message = f"{_kind(change)}, and no lock records it any more"
    details = (f"to {change.link}",) if change.link else changed_lines(change)
    return _finding(change, "", message, details)


def _kind(change: ChangedFile) -> str:
    if change.link:
        return "is a link now"
    if change.before is None:
        return "was added"
    if change.after is None:
        return "was removed"
    if change.before == change.after:
        return "has another mode"
    return "was changed"


def changed_lines(change: ChangedFile) -> tuple[str, ...]:
    """Return the lines that were added and removed, with secrets masked."""
    before, after = change.before or b"", change.after or b""
    if _BINARY in before + after:
        return ("a binary file",)
    before_lines, after_lines = _text_lines(before), _text_lines(after)
    # The values of variables are secrets more often than not; the names alone show the change.
    is_env_file = PurePosixPath(change.path).name.startswith(".env")
    if len(before_lines) + len(after_lines) > _MOST_COMPARED:
        return _changes_of_many_lines(before_lines, after_lines, is_env_file)
    shown_before = masked(before_lines, after_lines, is_env_file)
    shown_after = masked(after_lines, before_lines, is_env_file)
    details = []
    for line in list(unified_diff(shown_before, shown_after, n=0))[_HEADER_LINES:]:
        if line.startswith("+"):
            details.append(f"added {cut(line[1:].rstrip(), _MOST_CHARACTERS)}")
        elif line.startswith("-"):
            details.append(f"removed {cut(line[1:].rstrip(), _MOST_CHARACTERS)}")
    # A file may lack the line feed at its end, and differ in nothing else.
    if not details and before and after and before != after:
        return ("another end of the last line",)
    return _both_ends(details)


def _changes_of_many_lines(
    before: list[str], after: list[str], is_env_file: bool
) -> tuple[str, ...]:
    """Return the lines that one side has more often, in time that grows with their number."""
    added, removed = Counter(after), Counter(before)
    common = added & removed
    details: list[str] = []
    for label, lines, counts in (("added", after, added), ("removed", before, removed)):
        remaining = counts - common
        differing = []
        for line in lines:
            if remaining[line] > 0:
                remaining[line] -= 1
                differing.append(line)
        # Masked at the end: to search half a million lines for secrets takes a minute.
        for line in _both_ends(differing):
            [shown] = masked([line], [], is_env_file)
            details.append(f"{label} {cut(shown.rstrip(), _MOST_CHARACTERS)}")
    return tuple(details) or ("the same lines in another order",)


def _both_ends(lines: list[str]) -> tuple[str, ...]:
    """Leave out the middle of many lines.

    With the beginning alone, a hundred harmless lines would hide the lines below them.
    """
    if len(lines) <= _MOST_LINES:
        return tuple(lines)
    half = _MOST_LINES // 2
    omitted = f"… {len(lines) - 2 * half} more lines; git diff shows them"
    return (*lines[:half], omitted, *lines[-half:])


def _text_lines(content: bytes) -> list[str]:
    # Without the line feed at the end, below which there is no line.
    text = content.decode(errors="replace").removesuffix("\n")
    return text.split("\n") if text else []


def _finding(
    change: ChangedFile,
    site: str,
    message: str,
    details: tuple[str, ...] = (),
    weight: Weight = Weight.TRUST,
) -> Finding:
    return Finding(
        rule=weight,
        level=LEVELS[weight],
        message=message,
        site=site,
        file=change.path,
        path=change.location,
        key=change.path,
        details=details,
    )
