"""A folder that was generated into, compared with what its lock's inputs compile to now: no profile, no options."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from generator import __version__, paths
from generator.compiler import compiled_templates, digests
from generator.compiler.artifact import Artifact
from generator.compiler.compile import compile_site
from generator.errors import GenError
from generator.loading import catalogue, inputs, overrides, validate
from generator.loading import yaml_document as document
from generator.loading.yaml_document import Node
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec
from generator.workspace import lock as locks
from generator.workspace import reader
from generator.workspace.accepted_drift import Accepted, Known
from generator.workspace.drift import Drift, drifts
from generator.workspace.lock import Lock, RecordedInputs, RecordedSpec
from generator.workspace.plan import Action, Actual, Change, plan


@dataclass(frozen=True)
class Made:
    """What the inputs of a lock compile to now."""

    inputs: RecordedInputs
    spec: Path
    document: Node
    artifacts: list[Artifact]


@dataclass(frozen=True)
class Comparison:
    """A site in a folder: as its lock tells it, as it would be made now, and what that would change."""

    root: Path
    lock: PurePosixPath
    was: Lock
    made: Made | None
    """``None`` where the spec is gone."""
    changes: list[Change]
    record: Change
    """What becomes of the lock."""

    def drifts(self) -> list[Drift]:
        """Return what drifts; a lock does only when it is all that is left of a site."""
        return list(drifts(self.was, self.made.inputs if self.made else None, self._compared()))

    def sparing(self, spared: set[tuple[str, str]]) -> "Comparison":
        """Return the comparison without the changes to files that may drift; the lock stays, to tell why they do."""
        found = self.drifts() if spared else []
        left = {
            drift.change.path
            for drift in found
            if (str(self.root / drift.change.path), drift.cause) in spared
        }
        if not left:
            return self
        record = replace(self.record, action=Action.KEEP, artifact=_as_it_is(self.record))
        return replace(
            self,
            changes=[change for change in self.changes if change.path not in left],
            record=record,
        )

    def repair(self) -> list[Change]:
        """Return the changes that end the drift, that of the lock among them; nothing where nothing drifts."""
        drifting = {drift.change.path for drift in self.drifts()}
        mended = [change for change in self.changes if change.path in drifting]
        return [*mended, self.record] if drifting else []

    def _compared(self) -> list[Change]:
        return self.changes if self.made else [*self.changes, self.record]


def _as_it_is(lock: Change) -> Artifact | None:
    return Artifact(lock.path, lock.actual.content, 0o644) if lock.actual else None


def found_in(folder: Path) -> list[tuple[Path, PurePosixPath]]:
    """Return each folder below one that a site was generated into, with the site's lock.

    Raises:
        GenError: there is none, or no such folder.
    """
    if not folder.is_dir():
        raise GenError(f"{folder}: is no folder")
    if places := reader.locks(folder):
        return places
    raise GenError(
        f"{folder}: no site was generated here or below (gen site SITE --out {folder} does it)"
    )


def known_in(folder: Path) -> Known | None:
    """Return the drift that is accepted in a folder.

    Raises:
        GenError: the list cannot be read, or has faults.
    """
    where = paths.ACCEPTED_DRIFT
    file = reader.actual(folder, [where]).get(where)
    if file is None:
        return None
    name = str(folder / where)
    root = document.parse(file.content, name)
    return Known(validate.validated(Accepted, root, name).accepted, root)


def recorded(root: Path, where: PurePosixPath) -> Lock:
    """Read a lock.

    Raises:
        GenError: it cannot be read, or is not the lock of the site that its name says.
    """
    was = locks.parse(content(root, where), str(root / where))
    if paths.lock(was.site) != where:
        raise GenError(f"{root / where}: is the lock of another site, {was.site}")
    return was


def content(root: Path, where: PurePosixPath) -> bytes:
    """Return the bytes of a lock.

    Raises:
        GenError: it cannot be read.
    """
    found = reader.actual(root, [where]).get(where)
    if found is None:
        raise GenError(f"{root / where}: is a link that leads nowhere; remove it")
    return found.content


def compare(root: Path, where: PurePosixPath, was: Lock, within: Path) -> Comparison:
    """Compile a site again from the inputs in its lock, and compare.

    Raises:
        GenError: faults in the spec or in the lock's inputs, or a spec that is not below the folder `within`.
    """
    made = _made(root, where, was, within)
    artifacts = made.artifacts if made else []
    actual = reader.actual(root, {where, *(artifact.path for artifact in artifacts), *was.files})
    changes = plan(artifacts, actual, was.files)
    return Comparison(root, where, was, made, changes, _record(where, actual.get(where), was, made))


def _record(where: PurePosixPath, found: Actual | None, was: Lock, made: Made | None) -> Change:
    if made is None:
        return Change(where, Action.DELETE, found)
    lock = Artifact(where, locks.encode(was.site, made.artifacts, made.inputs), 0o644)
    same = found is not None and found.content == lock.content
    return Change(where, Action.KEEP if same else Action.UPDATE, found, lock)


def _made(root: Path, where: PurePosixPath, was: Lock, within: Path) -> Made | None:
    spec = _spec(root, where, was.inputs.spec, within)
    if spec is None:
        return None
    text = inputs.file(spec).content
    node, site, keys = _site(text, str(spec), was.inputs.overrides)
    if site.site != was.site:
        return None
    recorded_spec = replace(was.inputs.spec, sha256=digests.digest(text), key_digests=keys)
    now = replace(
        was.inputs,
        gen_version=__version__,
        templates_digest=compiled_templates.DIGEST,
        spec=recorded_spec,
    )
    artifacts = compile_site(site, _profile(was.inputs, str(root / where)), now.project)
    return Made(now, spec, node, artifacts)


def _spec(root: Path, where: PurePosixPath, recorded: RecordedSpec, within: Path) -> Path | None:
    """Return where the spec is, if there still is one."""
    if recorded.catalogue_name is not None:
        return catalogue.shipped().get(recorded.catalogue_name)
    path = Path(os.path.normpath(root / recorded.path))
    if not reader.within(path, within):
        raise GenError(
            f"{root / where}: its spec, {recorded.path}, is not below {within}; name a folder that holds both"
        )
    return path if path.is_file() else None


@lru_cache(maxsize=256)
def _site(
    content: bytes, name: str, changes: tuple[str, ...]
) -> tuple[Node, SiteSpec, Mapping[str, str]]:
    """Return a spec that many folders may have been generated from, with the digests of its values."""
    node = document.parse(content, name)
    site = validate.spec(node, name, [overrides.change(text) for text in changes])
    return node, site, digests.key_digests(site.model_dump(mode="json", exclude_defaults=True))


def _profile(recorded: RecordedInputs, name: str) -> SiteProfile:
    try:
        return SiteProfile.model_validate(dict(recorded.profile))
    except ValidationError as error:
        raise validate.refusal(error, lambda key: f"{name}: inputs.profile.{key}") from None
