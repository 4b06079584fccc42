"""The specs and locks of a revision or of the work tree: the two sides of a review."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from generator.errors import GenError
from generator.report.finding import Finding, refusals
from generator.revisions import git
from generator.workspace import lock, reader, recompile
from generator.workspace.lock import Lock


@dataclass(frozen=True)
class Side:
    """Specs and locks by their paths, which are relative to the current directory."""

    specs: Mapping[str, bytes]
    locks: Mapping[str, Lock]
    faults: tuple[Finding, ...] = ()
    """Specs that cannot be read."""


def committed(commit: str, directory: Path) -> Side:
    """Return the specs of a directory, and those that locks record, at a commit."""
    locks = _parsed(git.locks(commit))
    specs = git.specs(commit, directory.as_posix())
    for path in _recorded_specs(locks):
        content = git.blob(commit, path)
        if content is not None:
            specs[path] = content
    return Side(specs, locks)


def work_tree(directory: Path) -> Side:
    """Return the same from the files in the work tree; links that lead out of it are refused."""
    root = Path(git.top())
    locks = _parsed(_lock_contents())
    specs: dict[str, bytes] = {}
    faults: list[Finding] = []
    for path in dict.fromkeys([*_spec_paths(root, directory), *_recorded_specs(locks)]):
        path_below = _below(root, Path(path))
        try:
            file = reader.actual(root, [path_below]).get(path_below)
        except GenError as error:
            faults += refusals(error, path, Path(path).stem)
            continue
        if file:
            specs[path] = file.content
    return Side(specs, locks, tuple(faults))


def _spec_paths(root: Path, directory: Path) -> list[str]:
    # A link in a pull request could make the review read files of the machine.
    real_directory = reader.real(root, _below(root, directory))
    if not real_directory.is_dir():
        return []
    return [str(directory / path.name) for path in sorted(real_directory.glob("*.yaml"))]


def _below(root: Path, path: Path) -> PurePosixPath:
    # Not resolved: a link in the path is refused later, and would be followed here.
    return PurePosixPath(os.path.relpath(path.absolute(), root))


def _lock_contents() -> dict[str, bytes]:
    contents = {}
    for lock_file in reader.locks(Path()):
        # `gen check` reports a lock that cannot be read.
        with suppress(GenError):
            contents[str(lock_file.full_path)] = recompile.read_content(lock_file)
    return contents


def _parsed(contents: Mapping[str, bytes]) -> dict[str, Lock]:
    locks = {}
    for path, content in contents.items():
        # `gen check` reports a lock that cannot be read.
        with suppress(GenError):
            locks[path] = lock.parse(content, path)
    return locks


def _recorded_specs(locks: Mapping[str, Lock]) -> list[str]:
    """Return the paths of the specs that locks record, wherever they are in the repository."""
    specs = []
    for path, content in locks.items():
        spec = content.inputs.spec
        if spec.catalogue_name is not None:
            continue
        output_directory = PurePosixPath(path).parent.parent
        spec_path = os.path.normpath(output_directory / spec.path)
        # A lock may come from anybody: what lies outside the repository is not part of the review.
        if not spec_path.startswith(("..", "/")):
            specs.append(spec_path)
    return specs
