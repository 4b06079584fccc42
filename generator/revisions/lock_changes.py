"""The changes of the inputs that locks record: they can redirect users although no spec changes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from generator.report.finding import Finding
from generator.revisions.changes import LEVELS, value_changes
from generator.schema.meta import Weight
from generator.workspace.lock import Lock, RecordedInputs


def lock_changes(base: Mapping[str, Lock], head: Mapping[str, Lock]) -> list[Finding]:
    """Return the changes between locks, both given by their paths."""
    findings: list[Finding] = []
    for path, lock in head.items():
        previous = base.get(path)
        findings += _input_changes(path, lock, previous.inputs if previous else None)
    return findings


def _input_changes(path: str, lock: Lock, previous: RecordedInputs | None) -> Iterator[Finding]:
    """Yield a finding for each input that changed.

    A new lock is compared with one that has the same inputs, but no overrides and no weak
    sources: these two decide whom the users trust.
    """
    head = lock.inputs
    base = previous or replace(
        head, overrides=(), profile={**head.profile, "accept_unverified": False}
    )
    # The path of the spec and --set decide about hosts and keys as the spec does; so does the
    # acceptance of weak sources, which pins keys that nothing vouches for.
    rows = (
        (Weight.TRUST, "source spec", [base.spec.path], [head.spec.path]),
        (Weight.TRUST, "overrides of the spec (--set)", base.overrides, head.overrides),
        (Weight.TRUST, "acceptance of weak sources", _acceptance(base), _acceptance(head)),
        (Weight.ACCESS, "user values", _user_values(base), _user_values(head)),
        (Weight.ACCESS, "Dagster project", _project(base), _project(head)),
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
    if inputs.project is None:
        return []
    return [str(inputs.project.folder)]
