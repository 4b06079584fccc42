"""Merge a newer template into the files of a project that are the user's, as git merges branches.

The base is the template as it was merged last, which the lock of the project keeps. `git
merge-file` merges each file, so a conflict looks as in git.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from generator import programs
from generator.compiler import scaffold
from generator.compiler.artifact import Artifact, Owner
from generator.errors import GenError
from generator.files import conflict_line
from generator.workspace import project_lock, reader
from generator.workspace.plan import Action, Actual, Change
from generator.workspace.project_lock import ProjectLock

_GIT_SECONDS = 60
# git-merge-file(1): the status is the number of conflicts, 127 at most; above it is an error.
_MOST_CONFLICTS = 127


class Merge(StrEnum):
    """The effect of a newer template on a file."""

    SAME = "same"
    """The template did not change, or the file has the change already."""
    NEW = "new"
    REPLACED = "changed"
    """The user had not edited the file."""
    MERGED = "merged"
    CONFLICT = "conflict"
    DELETED = "deleted"
    """The user deleted the file, and the template changed it: it stays deleted."""
    DROPPED = "dropped"
    """The template does not have the file any more: it stays."""


@dataclass(frozen=True)
class MergedFile:
    """A file of a project, and the effect of a newer template on it."""

    change: Change
    merge: Merge


def merge(directory: Path, lock: ProjectLock) -> tuple[list[MergedFile], ProjectLock]:
    """Return the files of a project with a newer template, and the lock that records it."""
    template = scaffold.files(lock.project.name, lock.package, lock.site, lock.login)
    base = {path: "\n".join(lines).encode() for path, lines in lock.base.items()}
    actual = reader.actual(directory, {*template, *base})
    files = list(_merged(template, base, actual, directory))
    seeds = [Artifact(path, content, 0o644) for path, content in template.items()]
    return files, project_lock.first_lock(lock.project, lock.site, lock.login, seeds)


def _merged(
    template: Mapping[PurePosixPath, bytes],
    base: Mapping[PurePosixPath, bytes],
    actual: Mapping[PurePosixPath, Actual],
    directory: Path,
) -> Iterator[MergedFile]:
    for path, content in template.items():
        yield _file(path, base.get(path), actual.get(path), content, directory)
    for path in base:
        file = actual.get(path)
        if path not in template and file:
            yield MergedFile(Change(path, Action.KEEP, file), Merge.DROPPED)


def _file(
    path: PurePosixPath, base: bytes | None, file: Actual | None, template: bytes, directory: Path
) -> MergedFile:
    """Return a file of the template, merged into that of the user."""
    if file is None:
        if base is None:
            artifact = Artifact(path, template, 0o644, owner=Owner.SEEDED)
            return MergedFile(Change(path, Action.CREATE, None, artifact), Merge.NEW)
        keep = Change(path, Action.KEEP)
        return MergedFile(keep, Merge.SAME if base == template else Merge.DELETED)
    if template in (base, file.content):
        return MergedFile(Change(path, Action.KEEP, file), Merge.SAME)
    if file.content == base:
        return _updated(path, file, template, Merge.REPLACED)
    line = conflict_line(file.content)
    if line:
        raise GenError(
            f"{directory / path}:{line}: has a merge conflict; resolve it, then try again"
        )
    content, conflicts = _three_way(path, file.content, base or b"", template)
    if content == file.content:
        return MergedFile(Change(path, Action.KEEP, file), Merge.SAME)
    return _updated(path, file, content, Merge.CONFLICT if conflicts else Merge.MERGED)


def _updated(path: PurePosixPath, file: Actual, content: bytes, merge: Merge) -> MergedFile:
    artifact = Artifact(path, content, file.mode, owner=Owner.SEEDED)
    # With a reason the writer keeps a backup of the file of the user.
    reason = None if merge is Merge.REPLACED else "is yours"
    return MergedFile(Change(path, Action.UPDATE, file, artifact, reason), merge)


def _three_way(path: PurePosixPath, ours: bytes, base: bytes, theirs: bytes) -> tuple[bytes, int]:
    """Return the merged content, and the number of conflicts."""
    versions = {"yours": ours, "the template you had": base, "the newer template": theirs}
    # git merge-file reads files, and with -p prints the result.
    command = ["git", "merge-file", "-p"]
    with tempfile.TemporaryDirectory() as scratch:
        names = []
        for number, (label, content) in enumerate(versions.items()):
            file = Path(scratch, str(number))
            file.write_bytes(content)
            names.append(str(file))
            command += ["-L", f"{path} ({label})"]
        outcome = programs.run([*command, *names], seconds=_GIT_SECONDS)
    if not 0 <= outcome.status <= _MOST_CONFLICTS:
        raise GenError(f"{path}: git cannot merge this file: {outcome.message}")
    return outcome.stdout, outcome.status
