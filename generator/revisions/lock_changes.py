"""The changes of the inputs that locks record: they can redirect users although no spec changes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from generator.report.finding import Finding
from generator.revisions.changes import LEVELS, value_changes
from generator.schema.meta import Weight
from generator.workspace.lock import Lock, RecordedInputs


def lock_changes(old: Mapping[str, Lock], new: Mapping[str, Lock]) -> list[Finding]:
    """Return the changes between locks, both given by their paths."""
    findings: list[Finding] = []
    for path, lock in new.items():
        previous = old[path].inputs if path in old else None
        findings += _input_changes(path, lock, previous)
    return findings


def _input_changes(path: str, lock: Lock, previous: RecordedInputs | None) -> Iterator[Finding]:
    """Yield a finding for each input that changed.

    A new lock is compared with one that has the same inputs, but no overrides and no weak
    sources: these two decide whom the users trust.
    """
    new = lock.inputs
    old = previous or replace(
        new, overrides=(), profile={**new.profile, "accept_unverified": False}
    )
    rows = (
        (Weight.TRUST, "source spec", [old.spec.path], [new.spec.path]),
        (Weight.TRUST, "overrides of the spec (--set)", old.overrides, new.overrides),
        (Weight.TRUST, "acceptance of weak sources", _acceptance(old), _acceptance(new)),
        (Weight.ACCESS, "user values", _user_values(old), _user_values(new)),
        (Weight.ACCESS, "Dagster project", _project(old), _project(new)),
    )
    for weight, label, before, after in rows:
        if before != after:
            yield Finding(
                rule=weight,
                level=LEVELS[weight],
                message=f"{label} changed",
                site=lock.site,
                file=path,
                path=path,
                key=label,
                details=value_changes(before, after),
            )


def _acceptance(inputs: RecordedInputs) -> list[str]:
    return [str(inputs.profile.get("accept_unverified", False)).lower()]


def _user_values(inputs: RecordedInputs) -> list[str]:
    values = []
    for key, value in inputs.profile.items():
        if key != "accept_unverified":
            values.append(f"{key}: {value}")
    return values


def _project(inputs: RecordedInputs) -> list[str]:
    return [str(inputs.project.folder)] if inputs.project else []
