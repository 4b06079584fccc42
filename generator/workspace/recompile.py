"""Compile a site again from the inputs in its lock, and compare the result with the files on disk.

No profile and no option takes part, so the result is the same for every user and in CI.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pydantic import ValidationError

from generator import __version__, files, paths
from generator.compiler import compiled_templates, digests
from generator.compiler.artifact import Artifact
from generator.compiler.compile import compile_site
from generator.errors import GenError
from generator.loading import catalogue, inputs, model_errors, overrides, sources, validate
from generator.loading import yaml_document as document
from generator.loading.sources import SourcedSpec
from generator.loading.yaml_document import Node
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec
from generator.workspace import lock as locks
from generator.workspace import reader
from generator.workspace.accepted_drift import AcceptedDrift
from generator.workspace.drift import Cause, Drift, drifts
from generator.workspace.lock import Lock, RecordedInputs, RecordedSpec
from generator.workspace.plan import Action, Actual, Change, plan
from generator.workspace.reader import LockFile
from generator.workspace.required_version import check_version


class Recompilation(NamedTuple):
    """The artifacts that the inputs of a lock compile to now."""

    inputs: RecordedInputs
    spec: Path
    document: Node
    artifacts: list[Artifact]
    site_status: str | None
    """A warning that the site closes or has closed; ``None`` for an active site."""
    login: str
    """Alias of the usual host."""


@dataclass(frozen=True)
class Comparison:
    """A site in a directory: its lock, its artifacts of now, and the changes between both."""

    lock_file: LockFile
    lock: Lock
    lock_actual: Actual | None
    """The lock as a file on disk."""
    recompilation: Recompilation | None
    """``None`` if the spec is gone."""
    changes: list[Change]
    accepts_drift: bool = False
    """Whether changes were left out because a team accepts the drift."""

    @cached_property
    def lock_change(self) -> Change:
        """The change of the lock. `gen check` does not need it, and to encode a lock takes time."""
        path, actual = self.lock_file.path, self.lock_actual
        if self.accepts_drift and actual:
            # A lock as of now would hide which input made the accepted file stale.
            return Change(path, Action.KEEP, actual, Artifact(path, actual.content, 0o644))
        if self.recompilation is None:
            return Change(path, Action.DELETE, actual)
        content = locks.encode(
            self.lock.site, self.recompilation.artifacts, self.recompilation.inputs
        )
        action = Action.UPDATE
        if actual is not None and actual.content == content:
            action = Action.KEEP
        return Change(path, action, actual, Artifact(path, content, 0o644))

    def drifts(self) -> list[Drift]:
        """Return the drift of every file; of the lock only if nothing else is left of a site."""
        if not self.recompilation:
            return list(drifts(self.lock, None, [*self.changes, self.lock_change]))
        result = list(drifts(self.lock, self.recompilation.inputs, self.changes))
        recorded, current = self.lock.inputs.spec.path, self.recompilation.inputs.spec.path
        if recorded != current and not self.accepts_drift:
            reason = f"its spec moved: {recorded} → {current}"
            result.append(Drift(self.lock_change, Cause.MOVED, reason))
        return result

    def without_accepted(self, accepted: Mapping[tuple[str, str], str | None]) -> "Comparison":
        """Return the comparison without the changes to files whose drift is accepted."""
        if not accepted:
            return self  # to compute the drift takes time
        accepted_paths = set()
        for drift in self.drifts():
            path = drift.change.path
            key = (str(self.lock_file.directory / path), drift.cause)
            # Another content than the accepted one is drift again.
            if key in accepted and accepted[key] == drift.sha256:
                accepted_paths.add(path)
        if not accepted_paths:
            return self
        changes = [change for change in self.changes if change.path not in accepted_paths]
        return replace(self, changes=changes, accepts_drift=True)

    def repair(self) -> list[Change]:
        """Return the changes that end the drift, with the change of the lock.

        There are none if nothing drifts.
        """
        drifting = {drift.change.path for drift in self.drifts()}
        if not drifting:
            return []
        changes = [change for change in self.changes if change.path in drifting]
        return [*changes, self.lock_change]


def survey(directory: Path) -> reader.Survey:
    """Return the locks below a directory; refuse a directory without any."""
    if not directory.is_dir():
        raise GenError(f"{directory}: is not a directory")
    result = reader.survey(directory)
    output_directories = [lock_file.directory for lock_file in result.locks]
    check_version(directory, __version__, output_directories)
    if not result.locks:
        raise GenError(
            f"{directory}: has no generated site;"
            f" generate one with: gen site SITE --out {directory}"
        )
    return result


def accepted_lists(directory: Path, survey: reader.Survey) -> list[AcceptedDrift]:
    """Return the accepted drift below a directory: each output directory may have a list."""
    lists = []
    for list_directory in survey.accepted:
        accepted = accepted_drift(list_directory, directory)
        if accepted:
            lists.append(accepted)
    return lists


def accepted_drift(directory: Path, root: Path) -> AcceptedDrift | None:
    """Return the drift that is accepted in a directory; links may not lead out of `root`."""
    path = PurePosixPath(directory.relative_to(root), paths.ACCEPTED_DRIFT)
    file = reader.actual(root, [path]).get(path)
    if file is None:
        return None
    from generator.workspace.accepted_file import AcceptedFile

    name = str(directory / paths.ACCEPTED_DRIFT)
    document_root = document.parse(file.content, name)
    entries = validate.validated(AcceptedFile, document_root, name).accepted
    return AcceptedDrift(directory, entries, document_root)


def read_lock(lock_file: LockFile, content: bytes) -> Lock:
    """Return the lock in a file; refuse one whose site is not that of its name."""
    lock = locks.parse(content, str(lock_file.full_path))
    if paths.lock(lock.site) != lock_file.path:
        raise GenError(
            f"{lock_file.full_path}: is the lock of another site, {lock.site}; rename or delete it"
        )
    return lock


def read_content(lock_file: LockFile) -> bytes:
    """Return the bytes of a lock."""
    file = reader.actual(lock_file.directory, [lock_file.path]).get(lock_file.path)
    if file is None:
        raise GenError(f"{lock_file.full_path}: is a link that leads nowhere; remove it")
    return file.content


def compare(lock_file: LockFile, lock: Lock, within: Path) -> Comparison:
    """Compile a site again and compare; the spec must be below the directory `within`."""
    recompilation = _recompilation(lock_file, lock, within)
    artifacts: list[Artifact] = []
    if recompilation:
        artifacts = recompilation.artifacts
    compared = {lock_file.path, *lock.files}
    compared.update(artifact.path for artifact in artifacts)
    actual = reader.actual(lock_file.directory, compared)
    changes = plan(artifacts, actual, lock.files)
    return Comparison(lock_file, lock, actual.get(lock_file.path), recompilation, changes)


def compiled(lock: Lock, name: str, spec: bytes, spec_name: str) -> list[Artifact]:
    """Return the artifacts of the inputs in a lock with the bytes of a spec.

    There are none if the spec is of another site.

    `name` and `spec_name` are the paths of both for messages.
    """
    _, site, _, _ = _site(spec, spec_name, lock.inputs.overrides)
    if site.site != lock.site:
        return []
    return compile_site(site, _profile(lock.inputs, name), lock.inputs.project)


def resolved_site(lock: Lock, spec: bytes, name: str) -> SiteSpec:
    """Return a spec with the overrides in a lock."""
    return _site(spec, name, lock.inputs.overrides)[1]


def resolved_lines(lock: Lock, spec: bytes, name: str) -> tuple[str, ...]:
    """Return the lines of the same, as a lock keeps them."""
    return _site(spec, name, lock.inputs.overrides)[3]


def current_spec(lock: Lock, spec: bytes, name: str) -> RecordedSpec:
    """Return the entries of a lock for the bytes of a spec, at the path that the lock has."""
    _, _, key_digests, resolved = _site(spec, name, lock.inputs.overrides)
    recorded = lock.inputs.spec
    return replace(
        recorded,
        sha256=digests.digest(spec),
        key_digests=key_digests,
        resolved=None if recorded.has_path else resolved,
    )


def recorded_site(lock: Lock, name: str) -> SiteSpec | None:
    """Return the spec that a lock keeps of a site of the catalogue, ``None`` if it keeps none."""
    lines = lock.inputs.spec.resolved
    if not lines:
        return None
    return validate.spec(document.parse(recorded_content(lock.inputs.spec), name), name)


def _recompilation(lock_file: LockFile, lock: Lock, within: Path) -> Recompilation | None:
    file = _spec(lock_file, lock, within)
    if file is None:
        return None
    path, content = file.path, file.content
    node, site, _, _ = _site(content, str(path), lock.inputs.overrides)
    # Another site's spec at this path would replace the files of this one.
    if site.site != lock.site:
        return None
    recorded_path = _recorded_path(lock_file, lock, path)
    spec = replace(current_spec(lock, content, str(path)), path=recorded_path)
    # The lock keeps the values of a spec, and not the bytes of its file.
    if path == lock_file.full_path:
        spec = replace(spec, sha256=lock.inputs.spec.sha256)
    current = replace(
        lock.inputs, gen_version=__version__, templates_digest=compiled_templates.DIGEST, spec=spec
    )
    profile = _profile(lock.inputs, str(lock_file.full_path))
    artifacts = compile_site(site, profile, current.project)
    login = site.usual_host.alias
    return Recompilation(current, path, node, artifacts, site.status.words(), login)


def _spec(lock_file: LockFile, lock: Lock, within: Path) -> inputs.File | None:
    """Return the spec, if it still exists."""
    recorded = lock.inputs.spec
    if recorded.sourced:
        return _sourced_spec(lock_file, recorded, recorded.sourced)
    if recorded.catalogue_name is not None:
        path = catalogue.shipped().get(recorded.catalogue_name)
    else:
        path = _spec_path(lock_file, recorded, within)
    return inputs.file(path) if path else None


def _sourced_spec(lock_file: LockFile, recorded: RecordedSpec, sourced: SourcedSpec) -> inputs.File:
    """Return the spec of a source: that in use here, else the one that the lock keeps.

    A colleague or CI need not have added the source in order to check files.
    """
    in_use = sources.read(sourced)
    if in_use:
        return inputs.File(*in_use)
    if not recorded.resolved:
        raise GenError(
            f"{lock_file.full_path}: is generated from {recorded.path}, and this source is not"
            " added here; run gen source add with its address"
        )
    return inputs.File(lock_file.full_path, recorded_content(recorded))


def recorded_content(recorded: RecordedSpec) -> bytes:
    """Return the resolved spec that a lock keeps, as JSON."""
    return "\n".join(recorded.resolved or ()).encode()


def _spec_path(lock_file: LockFile, recorded: RecordedSpec, within: Path) -> Path | None:
    # normpath and not resolve: the path is shown to the user, who knows it without its links
    # resolved. `within` resolves them.
    refuse_absolute(recorded, str(lock_file.full_path))
    path = Path(os.path.normpath(lock_file.directory / recorded.path))
    if not reader.within(path, within):
        raise GenError(
            f"{lock_file.full_path}: its spec, {recorded.path}, is not below {within};"
            " name a directory that holds both"
        )
    if not files.is_regular(path):
        return _moved_spec(recorded, within)
    return path


def _moved_spec(recorded: RecordedSpec, within: Path) -> Path | None:
    """Return the spec under its new path, if it was only renamed: one file has its bytes."""
    candidates = []
    specs: list[Path] = []
    for directory, _, names in reader.walk(within):
        specs += [Path(directory, name) for name in names if name.endswith(".yaml")]
    for candidate in specs:
        if not files.is_regular(candidate) or not reader.within(candidate, within):
            continue
        if candidate.stat().st_size > document.LARGEST:
            continue
        if digests.digest(files.read_regular(candidate)) == recorded.sha256:
            candidates.append(candidate)
    return candidates[0] if len(candidates) == 1 else None


def _recorded_path(lock_file: LockFile, lock: Lock, path: Path) -> str:
    """Return the path of a spec for the lock; the recorded one if it still leads there."""
    recorded = lock.inputs.spec
    if not recorded.has_path:
        return recorded.path
    if os.path.normpath(lock_file.directory / recorded.path) == str(path):
        return recorded.path
    return os.path.relpath(path, lock_file.directory)


def refuse_absolute(recorded: RecordedSpec, name: str) -> None:
    """Refuse an absolute path of a spec: gen never records one.

    Each machine may have another file there, which no reviewer sees.
    """
    if Path(recorded.path).is_absolute():
        raise GenError(
            f"{name}: inputs.spec.path: {recorded.path} is absolute;"
            f" copy the spec into the repository, then run: gen site ./site_specs/SITE.yaml --force"
        )


# Many directories may be generated from one spec, which takes longer to validate than to read.
@lru_cache(maxsize=256)
def _site(
    content: bytes, name: str, changes: tuple[str, ...]
) -> tuple[Node, SiteSpec, Mapping[str, str], tuple[str, ...]]:
    """Return a spec, the digests of its values, and its resolved lines."""
    node = document.parse(content, name)
    site = validate.spec(node, name, [overrides.change(text) for text in changes])
    values = site.model_dump(mode="json", exclude_defaults=True)
    return node, site, digests.key_digests(values), locks.spec_lines(values)


def _profile(recorded: RecordedInputs, name: str) -> SiteProfile:
    try:
        return SiteProfile.model_validate(dict(recorded.profile))
    except ValidationError as error:
        raise model_errors.refusal(error, lambda key: f"{name}: inputs.profile.{key}") from None
