"""The cause of each difference between a managed file and its artifact."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from typing import NamedTuple

from generator.compiler.artifact import Artifact
from generator.compiler.digests import digest
from generator.files import conflict_line
from generator.formatting import listed
from generator.workspace.lock import Lock, RecordedInputs, Written
from generator.workspace.plan import Action, Actual, Change

# git keeps these mode bits only; the umask decides about the others at a checkout.
_EXECUTABLE = 0o111


class Cause(StrEnum):
    """Why a file differs."""

    EDITED = "edited"
    STALE = "stale"
    MISSING = "missing"
    ORPHANED = "orphaned"
    MODE = "mode"
    MOVED = "moved"


class Drift(NamedTuple):
    """One file that differs, and why."""

    change: Change
    cause: Cause
    reason: str
    keys: tuple[str, ...] = ()
    """The changed keys of the spec, if they are the reason."""

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the file, ``None`` if it is missing."""
        return digest(self.change.actual.content) if self.change.actual else None


class InputChanges(NamedTuple):
    """The inputs that changed since a site was generated."""

    keys: tuple[str, ...]
    gen_version: str
    """`OLD → NEW`, or empty."""
    templates: bool

    def __bool__(self) -> bool:
        return bool(self.keys or self.gen_version or self.templates)

    def __str__(self) -> str:
        parts = []
        if self.keys:
            parts.append(f"the spec ({listed(self.keys)})")
        if self.gen_version:
            parts.append(f"the version of gen ({self.gen_version})")
        if self.templates:
            parts.append("the templates")
        return " and ".join(parts)


def input_changes(recorded: RecordedInputs, current: RecordedInputs) -> InputChanges:
    """Return the differences between the inputs in a lock and those of now."""
    recorded_digests, current_digests = recorded.spec.key_digests, current.spec.key_digests
    versions = ""
    if recorded.gen_version != current.gen_version:
        versions = f"{recorded.gen_version} → {current.gen_version}"
    # By key, so that a finding names the lines of the spec that explain it.
    keys: list[str] = []
    for key in sorted({*recorded_digests, *current_digests}):
        if recorded_digests.get(key) != current_digests.get(key):
            keys.append(key)
    return InputChanges(
        keys=tuple(keys),
        gen_version=versions,
        templates=recorded.templates_digest != current.templates_digest,
    )


def drifts(lock: Lock, current: RecordedInputs | None, changes: list[Change]) -> Iterator[Drift]:
    """Yield the drift that each change of a plan would end.

    `current` is ``None`` if the spec is gone.
    """
    if current:
        yield from changed_files(lock.files, input_changes(lock.inputs, current), changes)
        return
    # Nothing is generated without a spec.
    for change in changes:
        if change.action is Action.DELETE:
            reason = f"its spec, {lock.inputs.spec.path}, is gone or belongs to another site"
            yield _orphaned(change, reason)


def changed_files(
    written: Mapping[PurePosixPath, Written], inputs: InputChanges, changes: list[Change]
) -> Iterator[Drift]:
    """Yield the drift of files that gen wrote with some inputs, each with the reason."""
    for change in changes:
        drift = _drift(written, inputs, change)
        if drift:
            yield drift


def _drift(
    written: Mapping[PurePosixPath, Written], inputs: InputChanges, change: Change
) -> Drift | None:
    """Return why a file differs; ``None`` if it matches, or differs in a mode that git ignores."""
    match change:
        case Change(action=Action.CREATE):
            if change.path in written:
                return Drift(change, Cause.MISSING, "was deleted")
            return _stale(change, inputs, "does not exist yet")
        case Change(action=Action.UPDATE, actual=Actual() as file, artifact=Artifact() as artifact):
            return _different(change, inputs, written.get(change.path), file, artifact)
        case Change(action=Action.DELETE):
            return _orphaned(change, "is no longer generated")
        case Change(action=Action.CHMOD, actual=Actual() as file, artifact=Artifact() as artifact):
            if (file.mode ^ artifact.mode) & _EXECUTABLE:
                reason = f"its mode is {file.mode:04o}, not {artifact.mode:04o}"
                return Drift(change, Cause.MODE, reason)
    return None


def _different(
    change: Change,
    inputs: InputChanges,
    entry: Written | None,
    file: Actual,
    artifact: Artifact,
) -> Drift:
    # The file is as gen wrote it, so an input changed. Without a changed input, the digest in the
    # lock was edited too, or the inputs in the lock are those of a run that left the file alone.
    if entry and digest(file.content) == entry.sha256:
        if inputs:
            return _stale(change, inputs, "differs from the compiled spec")
        reason = "was edited, and its digest in the lock with it"
        if change.path.suffix == ".toml":
            reason += "; or gen site --no-project left it out of date"
        return Drift(change, Cause.EDITED, reason)
    if conflict_line(file.content):
        reason = "has a merge conflict; gen site --all --force replaces the file"
        return Drift(change, Cause.EDITED, reason)
    # Git for Windows converts line ends at a checkout (git-config(1), core.autocrlf): ssh and
    # systemd then misread the file.
    if file.content.replace(b"\r\n", b"\n") == artifact.content:
        reason = (
            "has the line ends of Windows and no other difference; .gitattributes prevents that"
        )
        return Drift(change, Cause.EDITED, reason)
    reason = change.conflict or ""
    if inputs:
        reason += f"; since then {inputs} changed"
    return Drift(change, Cause.EDITED, reason)


def _orphaned(change: Change, reason: str) -> Drift:
    if change.conflict:
        reason += f"; {change.conflict}"
    return Drift(change, Cause.ORPHANED, reason)


def _stale(change: Change, inputs: InputChanges, difference: str) -> Drift:
    reason = f"{difference}: {str(inputs) or 'the lock'} changed"
    return Drift(change, Cause.STALE, reason, inputs.keys)
