"""`.gen/SITE.lock`: the files that gen generated for a site, and the inputs of that run.

The lock is JSON with a line for each value, so that git can merge it. It comes from git, so
from anybody: it is checked like any other input.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from generator import codec, paths
from generator.compiler.artifact import Artifact, Owner
from generator.compiler.digests import digest
from generator.errors import GenError
from generator.files import conflict_line
from generator.loading.sources import SourcedSpec
from generator.schema.names import SLUG
from generator.schema.project import Project

_CATALOGUE = "catalogue:"
_SOURCE = "source:"


@dataclass(frozen=True)
class RecordedSpec:
    """The spec that a site was generated from."""

    path: str
    """`catalogue:NAME`, `source:SOURCE/NAME`, or a path relative to the output directory."""
    sha256: str
    """SHA-256 of the spec's bytes; `gen status` compares it with the spec of today."""
    key_digests: Mapping[str, str]
    """A digest of every value of the spec, by its key."""
    resolved: tuple[str, ...] | None = None
    """The lines of the resolved spec as JSON, of a site of the catalogue or of a source.

    No revision of the repository has the spec that an older gen shipped, or an older version of a
    source, and a review compares with it. Lines, since the order of hosts has a meaning, and git
    merges lines.
    """

    @property
    def catalogue_name(self) -> str | None:
        """Name of the site in the catalogue, if the spec is from there."""
        if self.path.startswith(_CATALOGUE):
            return self.path.removeprefix(_CATALOGUE)
        return None

    @property
    def sourced(self) -> SourcedSpec | None:
        """The site of a source, if the spec is from one."""
        if not self.path.startswith(_SOURCE):
            return None
        source, _, site = self.path.removeprefix(_SOURCE).partition("/")
        return SourcedSpec(source, site)

    @property
    def has_path(self) -> bool:
        """Whether the spec is a file at a path of its own, and not known by its name."""
        return has_path(self.path)


@dataclass(frozen=True)
class RecordedInputs:
    """All inputs of a generation: enough to repeat it, and to name the input that changed since."""

    gen_version: str
    templates_digest: str
    spec: RecordedSpec
    profile: Mapping[str, str | bool]
    """The user's values at the site."""
    overrides: tuple[str, ...]
    """Changes to the spec, each as `--set` takes it."""
    project: Project | None = None
    """The Dagster project that the site is wired into."""
    options: tuple[str, ...] | None = None
    """The keys of `profile` and `overrides` that options set: these stay if the profile changes."""


@dataclass(frozen=True)
class Written:
    """The SHA-256 and the mode (as octal text, `0644`) of a managed file when gen wrote it."""

    sha256: str
    mode: str


@dataclass(frozen=True)
class Lock:
    """A generation: its site, its inputs and its managed files."""

    site: str
    inputs: RecordedInputs
    files: Mapping[PurePosixPath, Written] = field(default_factory=dict)


def catalogue_path(name: str) -> str:
    """Return the path under which a lock records a spec of the catalogue."""
    return f"{_CATALOGUE}{name}"


def has_path(recorded: str) -> bool:
    """Return whether a lock records a spec by its path, and not by its name."""
    return not recorded.startswith((_CATALOGUE, _SOURCE))


def spec_lines(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the lines of a resolved spec, as a lock keeps them."""
    return tuple(json.dumps(values, indent=1, ensure_ascii=False).split("\n"))


def written(artifact: Artifact) -> Written:
    """Return the entry of an artifact in a lock."""
    return Written(digest(artifact.content), f"{artifact.mode:04o}")


def encode(
    site: str,
    artifacts: Iterable[Artifact],
    inputs: RecordedInputs,
    untouched: Mapping[PurePosixPath, Written] = {},
) -> bytes:
    """Return the bytes of the lock for these artifacts.

    Seeded files are the user's and are not recorded. `untouched` are entries of the last lock, of
    files that this run leaves as they are.
    """
    files = dict(untouched)
    for artifact in artifacts:
        if artifact.owner is Owner.MANAGED:
            files[artifact.path] = written(artifact)
    return codec.dump(Lock(site, inputs, files))


def parse(
    content: bytes,
    name: str,
    possible_paths: Callable[[str], list[PurePosixPath]] = paths.generated_files,
    fix: str = "",
) -> Lock:
    """Return the lock that a file holds.

    `possible_paths` lists the files that gen may write for a site.
    """
    if has_conflict_markers(content):
        raise GenError(
            f"{name}: has a merge conflict; run gen site --all --out DIR to regenerate it"
        )
    fix = fix or f"run {_regenerate_command(name)} to regenerate it"
    lock = codec.load(Lock, content, name, fix)
    fault = _fault(lock, possible_paths)
    if fault:
        raise GenError(f"{name}: {fault}; {fix}")
    return lock


def has_conflict_markers(content: bytes) -> bool:
    """Return whether git left the markers of a merge conflict in a lock."""
    return conflict_line(content) is not None


def our_side(content: bytes) -> bytes:
    """Return a conflicted lock as our side has it, which git writes before each `=======`."""
    lines: list[bytes] = []
    is_ours = True
    for line in content.splitlines(keepends=True):
        # ||||||| starts the common ancestor, with merge.conflictStyle=diff3 or zdiff3
        # (git-config(1)).
        if line.startswith((b"=======", b"|||||||")):
            is_ours = False
        elif line.startswith(b">>>>>>> "):
            is_ours = True
        elif is_ours and not line.startswith(b"<<<<<<< "):
            lines.append(line)
    return b"".join(lines)


def _regenerate_command(name: str) -> str:
    """Return the command that writes the lock at a path again."""
    lock_path = PurePosixPath(name)
    # The name comes from a checkout, and the command is meant to be pasted.
    site = lock_path.stem if re.fullmatch(SLUG, lock_path.stem) else "SITE"
    directory = str(lock_path.parent.parent)
    # gen site --force ignores a lock that it cannot read.
    if directory == ".":
        return f"gen site {site} --force"
    return f"gen site {site} --out {shlex.quote(directory)} --force"


def _fault(lock: Lock, possible_paths: Callable[[str], list[PurePosixPath]]) -> str | None:
    """Return what in a well-formed lock gen never writes."""
    if not re.fullmatch(SLUG, lock.site):
        return "site: is not the name of a site"
    inputs = lock.inputs
    # Reports print these values: a line break in one would forge a line.
    texts = [inputs.gen_version, inputs.templates_digest, inputs.spec.path, *inputs.overrides]
    texts += [*inputs.spec.key_digests, *(inputs.spec.resolved or ()), *inputs.profile]
    texts += inputs.options or ()
    texts += [value for value in inputs.profile.values() if isinstance(value, str)]
    if not "".join(texts).isprintable():
        return "inputs: holds a character that cannot be printed"
    sourced = inputs.spec.sourced
    if sourced and not all(re.fullmatch(SLUG, name) for name in (sourced.source, sourced.site)):
        return "inputs.spec.path: is not source:SOURCE/SITE"
    if inputs.project and not _is_project(inputs.project):
        return "inputs.project: is not a project below the output directory"
    possible = possible_paths(lock.site)
    if inputs.project:
        possible.append(inputs.project.wiring(lock.site))
    # Without this, a lock could have `gen diff` show any file, and `gen site` delete it.
    for file in lock.files:
        if file not in possible:
            return f"files.{file}: gen never writes this file for {lock.site}"
    return None


def _is_project(project: Project) -> bool:
    # gen site writes below this directory, so a lock that comes from anybody must not lead it
    # elsewhere.
    is_below = not project.folder.is_absolute() and ".." not in project.folder.parts
    return is_below and project.package.isidentifier()
