"""The two sides of a review.

Each has locks, the specs that they name, and the files that programs read.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

from generator.compiler.artifact import Artifact
from generator.compiler.digests import digest
from generator.errors import GenError
from generator.files import read_regular
from generator.loading import catalogue, sources
from generator.loading.sources import SourcedSpec
from generator.paths import OUTPUT_STATE, SOURCES_LOCK
from generator.report.finding import Finding, refusals
from generator.revisions import git
from generator.revisions.changes import incomparable_change, new_outside, outside_changes
from generator.revisions.file_changes import (
    is_accepted_list,
    is_lock,
)
from generator.revisions.lock_changes import ReviewedLock
from generator.revisions.source_changes import replaced_spec, source_changes
from generator.revisions.tree import Tree
from generator.schema.site import SiteSpec
from generator.workspace import lock, recompile
from generator.workspace.lock import RecordedSpec

SPEC_SUFFIX = ".yaml"
USUAL_DIRECTORY = "site_specs"
SOURCES = str(OUTPUT_STATE / SOURCES_LOCK)
"""The record of the sources of a repository."""
_PROGRAM_SUFFIXES = (".py", ".sh", ".bash")


@dataclass(frozen=True)
class Side:
    """The files of one side, and its locks by their paths."""

    tree: Tree
    locks: Mapping[str, ReviewedLock]
    faults: tuple[Finding, ...] = ()
    """Locks that cannot be read, and those that lead out of the repository."""
    artifacts_by_lock: dict[str, Mapping[str, Artifact]] = field(default_factory=dict)
    record: sources.Record = field(default_factory=sources.Record)
    """The sources that the repository uses."""

    @cached_property
    def sourced_paths(self) -> dict[SourcedSpec, str]:
        """The path of each spec of a source."""
        paths = {}
        for sourced in self.record.sites():
            paths[sourced] = str(OUTPUT_STATE / self.record.path(sourced))
        return paths

    def specs(self, directory: str) -> list[str]:
        """Return the specs right below a directory, those that locks name, and those of sources.

        A directory of the usual name counts wherever it is: gen looks for specs in that of the
        current directory of its user.
        """
        real_directory = self.tree.resolved(directory)
        paths = []
        for path in self.tree.files:
            parent, _, name = path.rpartition("/")
            if (parent or ".") == real_directory and name.endswith(SPEC_SUFFIX):
                paths.append(os.path.normpath(f"{directory}/{name}"))
        paths.sort()
        for path in sorted(self.tree.paths_in(USUAL_DIRECTORY)):
            if path.endswith(SPEC_SUFFIX):
                paths.append(path)
        for lock_file in self.locks.values():
            if lock_file.lock.inputs.spec.has_path:
                paths.append(lock_file.spec)
        paths += self.sourced_paths.values()
        return list(dict.fromkeys(paths))

    def spec_name(self, path: str) -> str:
        """Return the name in git of a spec's content; empty without a spec."""
        submodule = self.tree.submodule_of(path)
        if submodule:
            return self.tree.files[submodule].name
        return self.tree.real_name(path)

    def spec_content(self, path: str) -> bytes | None:
        """Return the content of a spec, ``None`` if it is not here."""
        submodule = self.tree.submodule_of(path)
        if submodule:
            path_inside = path.removeprefix(f"{submodule}/")
            commit = self.tree.files[submodule].name
            return git.submodule_blob(Path(submodule), commit, path_inside)
        return self.tree.real_content(path)

    def spec_path(self, lock_file: ReviewedLock) -> str:
        """Return the path of the spec that a lock names, or its name if it has no path here."""
        sourced = lock_file.lock.inputs.spec.sourced
        if sourced in self.sourced_paths:
            return self.sourced_paths[sourced]
        return lock_file.spec

    def artifacts(self, lock_file: ReviewedLock) -> Mapping[str, Artifact]:
        """Return the artifacts of a lock by their paths.

        There are none if it cannot be compiled, which gen check reports.
        """
        if lock_file.path not in self.artifacts_by_lock:
            artifacts = {}
            for artifact in self._compiled(lock_file):
                artifacts[str(lock_file.directory / artifact.path)] = artifact
            self.artifacts_by_lock[lock_file.path] = artifacts
        return self.artifacts_by_lock[lock_file.path]

    def current_spec(self, lock_file: ReviewedLock) -> RecordedSpec | None:
        """Return the entry of a lock for its spec of now, ``None`` if the spec has faults."""
        content = self._spec_of(lock_file)
        if content is None:
            return None
        try:
            current = recompile.current_spec(lock_file.lock, content, lock_file.spec)
        except GenError:
            return None
        recorded = lock_file.lock.inputs.spec
        recorded_digest = recorded.sha256
        # The lock keeps the values of such a spec, and not its bytes.
        if recorded.sourced and recorded.sourced not in self.sourced_paths:
            return replace(current, sha256=recorded_digest)
        # Git for Windows converts the line ends at a checkout (git-config(1), core.autocrlf). So
        # the digest in the lock may be that of the same spec with other line ends.
        unix_content = content.replace(b"\r\n", b"\n")
        for variant in (unix_content, unix_content.replace(b"\n", b"\r\n")):
            if digest(variant) == recorded_digest:
                return replace(current, sha256=recorded_digest)
        return current

    def site_of(self, lock_file: ReviewedLock) -> SiteSpec:
        """Return the site of a lock, with the overrides in the lock."""
        content = self._spec_of(lock_file) or b""
        return recompile.resolved_site(lock_file.lock, content, lock_file.spec)

    def catalogue_change(
        self, lock_file: ReviewedLock, base_lock: ReviewedLock
    ) -> tuple[SiteSpec, SiteSpec] | None:
        """Return the site of the catalogue before and now, if it differs from that of the lock.

        Raises:
            GenError: one of them has faults, so that they cannot be compared.
        """
        content = self._spec_of(lock_file)
        if content is None:
            return None
        lines = recompile.resolved_lines(lock_file.lock, content, lock_file.spec)
        # Nearly always they are the same, and to validate a spec takes time.
        if lines == base_lock.lock.inputs.spec.resolved:
            return None
        recorded = recompile.recorded_site(base_lock.lock, base_lock.path)
        current = recompile.resolved_site(lock_file.lock, content, lock_file.spec)
        return (recorded, current) if recorded else None

    def _compiled(self, lock_file: ReviewedLock) -> list[Artifact]:
        content = self._spec_of(lock_file)
        if content is None:
            return []
        try:
            return recompile.compiled(lock_file.lock, lock_file.path, content, lock_file.spec)
        except GenError:
            return []

    def _spec_of(self, lock_file: ReviewedLock) -> bytes | None:
        recorded = lock_file.lock.inputs.spec
        if recorded.sourced and recorded.sourced not in self.sourced_paths:
            # The source is that of a user: the repository has only the values in the lock.
            return recompile.recorded_content(recorded)
        if recorded.catalogue_name is None:
            return self.spec_content(self.spec_path(lock_file))
        path = catalogue.shipped().get(recorded.catalogue_name)
        return _shipped_content(path) if path else None


@cache
def _shipped_content(path: Path) -> bytes:
    return read_regular(path)


def side(tree: Tree, parsed: dict[tuple[str, str], ReviewedLock]) -> Side:
    """Return a side; `parsed` keeps locks that both sides have, by path and content."""
    paths = sorted(filter(is_lock, tree.paths_in(OUTPUT_STATE.name)))
    unparsed = []
    for path in paths:
        if (path, tree.real_name(path)) not in parsed:
            unparsed.append(path)
    # In one process of git: to start one for each of a thousand locks would take seconds.
    tree.load(unparsed)
    locks: dict[str, ReviewedLock] = {}
    faults: list[Finding] = []
    for path in paths:
        key = (path, tree.real_name(path))
        try:
            if key not in parsed:
                parsed[key] = _lock_file(path, tree.real_content(path) or b"")
            _refuse_outside(parsed[key], tree)
        except GenError as error:
            faults += refusals(error, path, Path(path).stem)
        else:
            locks[path] = parsed[key]
    try:
        record = sources.parse(tree.real_content(SOURCES) or b"", SOURCES)
    except GenError as error:
        faults += refusals(error, SOURCES, "")
        record = sources.Record()
    return Side(tree, locks, tuple(faults), record=record)


def _lock_file(path: str, content: bytes) -> ReviewedLock:
    lock_file = ReviewedLock(path, lock.parse(content, path))
    if lock_file.expected_path != path:
        raise GenError(
            f"{path}: is the lock of another site, {lock_file.lock.site}; rename or delete it"
        )
    return lock_file


def _refuse_outside(lock_file: ReviewedLock, tree: Tree) -> None:
    """Refuse a spec that only some machines have: a reviewer could not read it."""
    recorded = lock_file.lock.inputs.spec
    if not recorded.has_path:
        return
    recompile.refuse_absolute(recorded, lock_file.path)
    if tree.is_outside(lock_file.spec):
        raise GenError(
            f"{lock_file.path}: inputs.spec.path: {recorded.path} leaves the repository;"
            " copy the spec into it, then run: gen site ./site_specs/SITE.yaml --force"
        )


def has_only_moved(
    base: Side, head: Side, base_lock: ReviewedLock, head_lock: ReviewedLock
) -> bool:
    """Return whether the spec of a lock has another path now, and the same content."""
    if base_lock.spec == head_lock.spec:
        return False
    for lock_file in (base_lock, head_lock):
        if not lock_file.lock.inputs.spec.has_path:
            return False
    # A copy has not moved: the next change of either would go unnoticed by users of the other.
    if head.spec_content(base_lock.spec) is not None:
        return False
    content = base.spec_content(base_lock.spec)
    return content is not None and content == head.spec_content(head_lock.spec)


def refuse_links_out(reviewed: Side, directory: str) -> None:
    """Refuse a spec, or the directory of specs, behind a link out of the repository.

    Otherwise the review would call the spec removed, while other commands read the target of the
    link.
    """
    for path in [directory, *reviewed.specs(directory)]:
        if reviewed.tree.is_outside(path):
            raise GenError(f"{path}: is a link that leads out of the repository; remove it")


def changed_lists(base: Side, head: Side) -> list[str]:
    """Return the lists of accepted drift that differ."""
    paths = []
    state_files = {*base.tree.paths_in(OUTPUT_STATE.name), *head.tree.paths_in(OUTPUT_STATE.name)}
    for path in sorted(state_files):
        if is_accepted_list(path) and base.tree.real_name(path) != head.tree.real_name(path):
            paths.append(path)
    return paths


def differing_specs(base: Side, head: Side, directory: str) -> tuple[list[str], list[str]]:
    """Return the specs of each side whose content the other side does not have at that path."""
    base_paths, head_paths = [], []
    for path in dict.fromkeys([*base.specs(directory), *head.specs(directory)]):
        base_name, head_name = base.spec_name(path), head.spec_name(path)
        if base_name and base_name != head_name:
            base_paths.append(path)
        if head_name and base_name != head_name:
            head_paths.append(path)
    return base_paths, head_paths


def changed_sources(base: Side, head: Side) -> list[Finding]:
    """Return the changes of the sources, and the specs that a source has not published."""
    findings = list(source_changes(SOURCES, base.record.sources, head.record.sources))
    for sourced, path in head.sourced_paths.items():
        recorded = head.record.sources[sourced.source].digest(sourced.site)
        content = head.tree.real_content(path)
        if content is None or digest(content) != recorded:
            findings.append(replaced_spec(path, sourced.source))
    return findings


def changes_outside(base: Side, head: Side) -> list[Finding]:
    """Return the changes of sites outside the repository since the locks of the base recorded them.

    They are in the catalogue, or in a source that only users have. They differ from the day when
    another gen runs, whether the files were generated again or not.
    """
    changes: list[Finding] = []
    for path, lock_file in head.locks.items():
        base_lock = base.locks.get(path)
        recorded = lock_file.lock.inputs.spec
        if recorded.has_path or recorded.sourced in head.sourced_paths:
            continue
        is_new = base_lock is None or base_lock.spec != lock_file.spec
        # Another spec is a finding; everybody has that of a site of the catalogue.
        if is_new and not recorded.sourced:
            continue
        try:
            if base_lock is None or is_new:
                changes.append(new_outside(path, head.site_of(lock_file)))
                continue
            change = head.catalogue_change(lock_file, base_lock)
        except GenError as error:
            site = lock_file.lock.site
            changes.append(incomparable_change(path, site, str(error), _place(recorded)))
            continue
        if change:
            changes += outside_changes(path, *change, _place(recorded))
    return changes


def _place(recorded: RecordedSpec) -> str:
    """Return where a spec is that is in no file of the repository."""
    if recorded.sourced:
        return f"the source {recorded.sourced.source}"
    return "the catalogue of gen"
