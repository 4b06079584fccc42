"""should be × is × was → changes. `gen site` applies them, every report shows them; there is no other comparison."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from generator.compiler.artifact import Artifact, Owner
from generator.compiler.digests import digest
from generator.workspace.lock import Written


class Action(StrEnum):
    """What is to be done with a file."""

    CREATE = "create"
    UPDATE = "update"
    CHMOD = "chmod"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True)
class Actual:
    """A file as it is on disk."""

    content: bytes
    mode: int


@dataclass(frozen=True)
class Change:
    """What is to be done with one file, from what to what; `conflict` says whose work that would undo."""

    path: PurePosixPath
    action: Action
    actual: Actual | None = None
    artifact: Artifact | None = None
    conflict: str | None = None


def plan(
    artifacts: list[Artifact],
    actual: Mapping[PurePosixPath, Actual],
    written: Mapping[PurePosixPath, Written],
) -> list[Change]:
    """Return a change for every artifact, then one for every file that was ours and is generated no more."""
    changes = [
        _change(artifact, actual.get(artifact.path), written.get(artifact.path))
        for artifact in artifacts
    ]
    wanted = {artifact.path for artifact in artifacts}
    for path, was in written.items():
        found = actual.get(path)
        if path not in wanted and found:
            changes.append(Change(path, Action.DELETE, found, conflict=_conflict(found, was)))
    return changes


def _change(artifact: Artifact, found: Actual | None, was: Written | None) -> Change:
    if artifact.owner is Owner.SEEDED and (found or was):
        return Change(artifact.path, Action.KEEP, found, artifact)
    if found is None:
        return Change(artifact.path, Action.CREATE, None, artifact)
    if found.content != artifact.content:
        return Change(artifact.path, Action.UPDATE, found, artifact, _conflict(found, was))
    return Change(
        artifact.path, Action.KEEP if found.mode == artifact.mode else Action.CHMOD, found, artifact
    )


def _conflict(found: Actual, was: Written | None) -> str | None:
    if was is None:
        return "was here before, and gen did not write it"
    return None if digest(found.content) == was.sha256 else "was edited since gen wrote it"
