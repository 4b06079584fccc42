"""The changes of locks: a lock leads users elsewhere although no spec changes."""

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from generator import paths
from generator.compiler.artifact import Artifact
from generator.compiler.digests import digest
from generator.report.finding import Finding
from generator.revisions.changes import file_finding, value_changes
from generator.schema.meta import Weight
from generator.workspace.lock import Lock, RecordedInputs, RecordedSpec

_SPEC = "source spec"


@dataclass(frozen=True)
class ReviewedLock:
    """A lock of one side of a review."""

    path: str
    lock: Lock
    moved_spec: str = ""
    """The path of the spec on the other side, if it only moved."""

    @property
    def directory(self) -> PurePosixPath:
        """The output directory."""
        return PurePosixPath(self.path).parent.parent

    @property
    def spec(self) -> str:
        """The spec: `catalogue:NAME`, `source:SOURCE/NAME`, or its path from here."""
        if self.moved_spec:
            return self.moved_spec
        recorded = self.lock.inputs.spec
        if not recorded.has_path:
            return recorded.path
        return posixpath.normpath(self.directory / recorded.path)

    @property
    def expected_path(self) -> str:
        """The path at which gen writes the lock of this site."""
        return str(self.directory / paths.lock(self.lock.site))

    @property
    def project_code(self) -> str | None:
        """The directory of the Python package of its Dagster project, if it has one."""
        project = self.lock.inputs.project
        return str(self.directory / project.sites.parent) if project else None

    @property
    def files(self) -> list[str]:
        """The generated files, by their paths from the current directory."""
        return [str(self.directory / path) for path in self.lock.files]


def forged_digests(lock_file: ReviewedLock, artifacts: Mapping[str, Artifact]) -> Iterator[Finding]:
    """Yield the entries of a changed lock that are not of the files that its inputs compile to.

    gen takes a file with the digest in the lock as its own: it would overwrite or delete it
    without a word.
    """
    details = []
    for path, entry in lock_file.lock.files.items():
        full_path = str(lock_file.directory / path)
        artifact = artifacts.get(full_path)
        if artifact is None or digest(artifact.content) != entry.sha256:
            details.append(full_path)
    if details:
        message = "records digests of files that its inputs do not compile to"
        yield _finding(Weight.TRUST, lock_file, "files", message, details)


def forged_spec(
    lock_file: ReviewedLock, base_lock: ReviewedLock | None, expected: RecordedSpec
) -> Iterator[Finding]:
    """Yield the digests in a changed lock that are not of the spec that it names.

    A later review compares the site of the catalogue with the spec in the lock, and gen finds a
    spec that was renamed by its digest.
    """
    recorded = lock_file.lock.inputs.spec
    before = base_lock.lock.inputs.spec if base_lock else None
    details = []
    for name in ("sha256", "key_digests", "resolved"):
        value = getattr(recorded, name)
        # An entry that the base has too is stale, which gen check reports.
        if before and value == getattr(before, name):
            continue
        if value != getattr(expected, name):
            details.append(name)
    if details:
        yield _finding(
            Weight.TRUST, lock_file, "spec", "records another spec than it names", details
        )


def lock_changes(
    base: Mapping[str, ReviewedLock],
    head: Mapping[str, ReviewedLock],
    present: frozenset[str],
    has_moved_spec: Callable[[ReviewedLock, ReviewedLock], bool],
) -> list[Finding]:
    """Return the changes between locks, both given by their paths.

    `present` are the files of the head. `has_moved_spec` returns whether the only change between
    the specs of two locks is their path.
    """
    findings: list[Finding] = []
    moved_from = _moves(base, head)
    for path, lock_file in head.items():
        previous = base.get(path) or base.get(moved_from.get(path, ""))
        if previous is None:
            findings.append(_new_lock(lock_file))
            continue
        if path not in base:
            message = f"the lock of {lock_file.lock.site} moved from {previous.path}"
            findings.append(_finding(Weight.TRUST, lock_file, "lock", message))
        if has_moved_spec(previous, lock_file):
            details = value_changes([previous.spec], [lock_file.spec])
            message = f"the spec of {lock_file.lock.site} moved, and its content is the same"
            findings.append(_finding(Weight.ACCESS, lock_file, _SPEC, message, details))
            # Then the path is all that differs between the two.
            previous = replace(previous, moved_spec=lock_file.spec)
        findings += _input_changes(lock_file, previous)
    for path, lock_file in base.items():
        # A lock that is there and cannot be read is refused by name.
        is_gone = path not in head and path not in present
        if is_gone and path not in moved_from.values():
            findings.append(_removed_lock(lock_file, present))
    return findings


def _moves(base: Mapping[str, ReviewedLock], head: Mapping[str, ReviewedLock]) -> dict[str, str]:
    """Return where the lock of a site was before, for each new lock of a site that has lost one."""
    lost: dict[str, str] = {}
    for path, lock_file in base.items():
        if path not in head:
            lost.setdefault(lock_file.lock.site, path)
    moves = {}
    for path, lock_file in head.items():
        if path not in base and lock_file.lock.site in lost:
            moves[path] = lost.pop(lock_file.lock.site)
    return moves


def _new_lock(lock_file: ReviewedLock) -> Finding:
    """Return one finding that lists all that gen takes from a new lock, the gravest first."""
    details = []
    for _, label, values in _rows(lock_file):
        for value in values:
            if value != "false":
                details.append(f"{label}: {value}")
    recorded = lock_file.lock.inputs.spec
    # The repository does not have such a spec: the digest says which one was added.
    if recorded.sourced:
        details.insert(1, f"SHA-256 of the spec: {recorded.sha256}")
    message = f"the lock of {lock_file.lock.site} is new; gen generates files from these inputs"
    return _finding(Weight.TRUST, lock_file, "lock", message, details)


def _removed_lock(lock_file: ReviewedLock, present: frozenset[str]) -> Finding:
    """Return the weight of a deleted lock: gen check no longer compares the files that stay."""
    remaining = []
    for path in lock_file.files:
        if path in present:
            remaining.append(path)
    site = lock_file.lock.site
    if remaining:
        message = f"the lock of {site} was removed, and files that it records stay unchecked"
        return _finding(Weight.TRUST, lock_file, "lock", message, remaining)
    message = f"the lock of {site} was removed with all files that it records"
    return _finding(Weight.ACCESS, lock_file, "lock", message)


def _input_changes(lock_file: ReviewedLock, previous: ReviewedLock) -> Iterator[Finding]:
    """Yield a finding for each input that changed."""
    rows = zip(_rows(previous), _rows(lock_file), strict=True)
    for (_, _, before), (weight, label, after) in rows:
        if list(before) != list(after):
            details = value_changes(before, after)
            yield _finding(weight, lock_file, label, f"{label} changed", details)


def _rows(lock_file: ReviewedLock) -> tuple[tuple[Weight, str, Sequence[str]], ...]:
    """Return the inputs in a lock with their weights."""
    inputs = lock_file.lock.inputs
    return (
        # The path and --set decide about hosts and keys as the spec does. The acceptance of weak
        # sources pins keys that nothing vouches for, and a user value may name another key file.
        (Weight.TRUST, _SPEC, [lock_file.spec]),
        (Weight.TRUST, "overrides of the spec (--set)", inputs.overrides),
        (Weight.TRUST, "acceptance of weak sources", _acceptance(inputs)),
        (Weight.TRUST, "user values", _user_values(inputs)),
        # A value of an option wins over the profile of whoever runs gen site next.
        (Weight.TRUST, "values that win over a profile", inputs.options or ()),
        (Weight.TRUST, "Dagster project", _project(inputs)),
        # Its effect on the files is reported with them.
        (Weight.ACCESS, "version of gen", [inputs.gen_version]),
        (Weight.ACCESS, "templates of gen", [inputs.templates_digest]),
    )


def _finding(
    weight: Weight, lock_file: ReviewedLock, key: str, message: str, details: Sequence[str] = ()
) -> Finding:
    site = lock_file.lock.site
    return file_finding(weight, lock_file.path, message, site=site, key=key, details=details)


def _acceptance(inputs: RecordedInputs) -> list[str]:
    return [str(inputs.profile.get("accept_unverified", False)).lower()]


def _user_values(inputs: RecordedInputs) -> list[str]:
    values = []
    for key, value in sorted(inputs.profile.items()):
        if key != "accept_unverified":
            values.append(f"{key}: {value}")
    return values


def _project(inputs: RecordedInputs) -> list[str]:
    if inputs.project is None:
        return []
    only = ", without the other files of the site" if inputs.project.alone else ""
    return [f"{inputs.project.folder}, package {inputs.project.package}{only}"]
