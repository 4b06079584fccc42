"""Compare artifacts, files on disk and the lock.

`plan` returns the one list of changes that every command uses.

`gen site` applies the changes, `gen diff` prints them, `gen check` reports them.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from typing import NamedTuple

from generator.compiler.artifact import Artifact, Owner
from generator.compiler.digests import digest
from generator.workspace.lock import Written


class Action(StrEnum):
    """The action that a file needs."""

    CREATE = "create"
    UPDATE = "update"
    CHMOD = "chmod"
    DELETE = "delete"
    KEEP = "keep"


class Actual(NamedTuple):
    """A file on disk."""

    content: bytes
    mode: int


class Change(NamedTuple):
    """The action for one file, with the file on disk and the artifact that replaces it."""

    path: PurePosixPath
    action: Action
    actual: Actual | None = None
    artifact: Artifact | None = None
    conflict: str | None = None
    """Why the action would overwrite the work of a user, if it would."""


def pending_changes(changes: Iterable[Change]) -> list[Change]:
    """Return the changes without those that keep a file as it is."""
    return [change for change in changes if change.action is not Action.KEEP]


def plan(
    artifacts: list[Artifact],
    actual: Mapping[PurePosixPath, Actual],
    written: Mapping[PurePosixPath, Written],
) -> list[Change]:
    """Return a change for every artifact, then for every recorded file that has no artifact."""
    changes = []
    for artifact in artifacts:
        path = artifact.path
        changes.append(_change(artifact, actual.get(path), written.get(path)))
    generated = {artifact.path for artifact in artifacts}
    for path, entry in written.items():
        file = actual.get(path)
        if file and path not in generated:
            changes.append(Change(path, Action.DELETE, file, conflict=_conflict(file, entry)))
    return changes


def _change(artifact: Artifact, file: Actual | None, entry: Written | None) -> Change:
    path = artifact.path
    if artifact.owner is Owner.SEEDED and (file or entry):
        return Change(path, Action.KEEP, file, artifact)
    if file is None:
        return Change(path, Action.CREATE, None, artifact)
    if file.content != artifact.content:
        return Change(path, Action.UPDATE, file, artifact, _conflict(file, entry))
    if file.mode != artifact.mode:
        return Change(path, Action.CHMOD, file, artifact)
    return Change(path, Action.KEEP, file, artifact)


def _conflict(file: Actual, entry: Written | None) -> str | None:
    if entry is None:
        return "was here before, and gen did not write it"
    if digest(file.content) != entry.sha256:
        return "was edited since gen wrote it"
    return None
