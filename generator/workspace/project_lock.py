"""`.gen/project.json` of a Dagster project: its glue, and the files that it started with.

One file for each project, whatever the number of its sites: two sites would own the same modules.
It comes from git, so from anybody: it is checked like any other input.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from generator import __version__, codec, paths
from generator.compiler import scaffold
from generator.compiler.artifact import Artifact
from generator.compiler.emitters import dagster_project
from generator.errors import GenError
from generator.schema.names import SLUG
from generator.schema.project import Project
from generator.workspace import lock as locks
from generator.workspace import reader
from generator.workspace.drift import Cause, Drift, InputChanges, changed_files
from generator.workspace.lock import Written
from generator.workspace.plan import Action, Actual, Change, plan
from generator.workspace.reader import Survey

if TYPE_CHECKING:
    from generator.workspace.recompile import Comparison


@dataclass(frozen=True)
class ProjectLock:
    """A project: its modules of gen, and its first files as the template had them."""

    package: str
    """Its Python package, below `src/`."""
    site: str
    """The site with whose name its first files were filled in."""
    login: str
    """The alias of that site's usual host."""
    gen_version: str
    template: str
    """Digest of the template that the first files are from."""
    glue: Mapping[PurePosixPath, Written] = field(default_factory=dict)
    base: Mapping[PurePosixPath, tuple[str, ...]] = field(default_factory=dict)
    """The first files by lines: what `gen project --update` merges a newer template from.

    The repository has it, so that a merge needs neither an older gen nor the network.
    """

    @property
    def project(self) -> Project:
        """The project, with paths relative to its own directory."""
        return Project(PurePosixPath(), self.package, alone=True)


@dataclass(frozen=True)
class ProjectComparison:
    """A project on disk: its lock, and the changes that bring its glue up to date."""

    directory: Path
    lock: ProjectLock
    changes: list[Change]
    lock_actual: Actual | None
    """The lock as a file on disk."""
    is_merge: bool = False
    """Whether git left a merge conflict in the lock."""

    @cached_property
    def lock_change(self) -> Change:
        """The change of the lock. `gen check` does not need it, and to encode a lock takes time."""
        glue = list(dagster_project.glue(self.lock.project))
        return lock_change(self.lock, glue, self.lock_actual)

    def glue(self) -> list[Artifact]:
        """Return the modules of this gen."""
        return [change.artifact for change in self.changes if change.artifact]

    def drifts(self) -> list[Drift]:
        """Return the drift of every module, and that the lock is missing."""
        versions = ""
        if self.lock.gen_version != __version__:
            versions = f"{self.lock.gen_version} → {__version__}"
        # gen compiles the modules from nothing but its own template.
        inputs = InputChanges((), versions, templates=self._is_outdated())
        drifts = list(changed_files(self.lock.glue, inputs, self.changes))
        if self.lock_actual is None:
            drifts.append(Drift(self.lock_change, Cause.MISSING, "the project has no lock"))
        return drifts

    def _is_outdated(self) -> bool:
        """Return whether this gen has other modules than the one that wrote those of the lock."""
        current: dict[PurePosixPath, Written] = {}
        for module in self.glue():
            current[module.path] = locks.written(module)
        return current != dict(self.lock.glue)

    def without_accepted(
        self, accepted: Mapping[tuple[str, str], str | None]
    ) -> "ProjectComparison":
        """Return the comparison without the changes to modules whose drift is accepted."""
        accepted_paths = set[PurePosixPath]()
        for drift in self.drifts() if accepted else ():
            key = (str(self.directory / drift.change.path), drift.cause)
            if key in accepted and accepted[key] == drift.sha256:
                accepted_paths.add(drift.change.path)
        changes = [change for change in self.changes if change.path not in accepted_paths]
        return replace(self, changes=changes)

    def repair(self) -> list[Change]:
        """Return the changes that end the drift, with that of the lock; none if nothing drifts."""
        drifting = {drift.change.path for drift in self.drifts()}
        if not drifting:
            return []
        changes = [change for change in self.changes if change.path in drifting]
        return [*changes, self.lock_change]

    def has_newer_template(self) -> bool:
        """Return whether this gen has another template than the one that was merged last."""
        return self.lock.template != scaffold.template_digest()


def first_lock(project: Project, site: str, login: str, seeds: Iterable[Artifact]) -> ProjectLock:
    """Return the lock of a project that starts with these files."""
    base: dict[PurePosixPath, tuple[str, ...]] = {}
    for artifact in seeds:
        base[artifact.path.relative_to(project.folder)] = lines(artifact.content)
    digest = scaffold.template_digest()
    return ProjectLock(project.package, site, login, __version__, digest, base=base)


def lines(content: bytes) -> tuple[str, ...]:
    """Return a file as a lock keeps it: git merges lines."""
    return tuple(content.decode().split("\n"))


def encode(lock: ProjectLock, glue: Iterable[Artifact]) -> bytes:
    """Return the bytes of a lock, with the glue that is written with it."""
    written = {artifact.path: locks.written(artifact) for artifact in glue}
    return codec.dump(replace(lock, gen_version=__version__, glue=written))


def directories(survey: Survey, sites: "Iterable[Comparison]") -> "dict[Path, Comparison | None]":
    """Return the directory of each project; one without a lock has a site of it.

    An older gen wrote no lock for a project.
    """
    site_of: dict[Path, Comparison | None] = dict.fromkeys(survey.projects)
    for site in sites:
        project = site.lock.inputs.project
        if project and site.recompilation:
            directory = site.lock_file.directory / project.folder
            if directory.is_dir():
                site_of.setdefault(directory, site)
    return site_of


def compare(
    directory: Path, site: "Comparison | None", root: Path, *, is_merge: bool = False
) -> ProjectComparison:
    """Compare the glue of a project with that of this gen; links may not lead out of `root`.

    A project without a lock gets its first one from a `site`. In a merge, our side of a lock with
    conflicts is read.
    """
    if site:
        return _comparison(directory, _lock_of_site(site), None)
    name = str(directory / paths.PROJECT_LOCK)
    file = reader.actual(directory, [paths.PROJECT_LOCK]).get(paths.PROJECT_LOCK)
    if file is None or not reader.within(directory / paths.PROJECT_LOCK, root):
        raise GenError(f"{name}: is a link that leads out of {root}; remove it")
    content = file.content
    has_conflict = is_merge and locks.has_conflict_markers(content)
    if has_conflict:
        content = locks.our_side(content)
    comparison = _comparison(directory, parse(content, name), file)
    return replace(comparison, is_merge=has_conflict)


def _lock_of_site(site: "Comparison") -> ProjectLock:
    project, recompilation = site.lock.inputs.project, site.recompilation
    if project is None or recompilation is None:
        raise ValueError("the site has no project")
    files = scaffold.files(project.name, project.package, site.lock.site, recompilation.login)
    seeds = [Artifact(path, content, 0o644) for path, content in files.items()]
    # A lock names its project from the directory of the project itself.
    relative = Project(PurePosixPath(), project.package)
    return first_lock(relative, site.lock.site, recompilation.login, seeds)


def _comparison(directory: Path, lock: ProjectLock, file: Actual | None) -> ProjectComparison:
    glue = list(dagster_project.glue(lock.project))
    changes = plan(glue, _actual(directory, glue, lock.glue), lock.glue)
    return ProjectComparison(directory, lock, changes, file)


def lock_change(lock: ProjectLock, glue: list[Artifact], file: Actual | None) -> Change:
    """Return the change of the lock itself."""
    artifact = Artifact(paths.PROJECT_LOCK, encode(lock, glue), 0o644)
    if file is None:
        return Change(artifact.path, Action.CREATE, None, artifact)
    action = Action.KEEP if file.content == artifact.content else Action.UPDATE
    return Change(artifact.path, action, file, artifact)


def generation(
    root: Path, project: Project, site: str, login: str, seeds: list[Artifact], *, is_new: bool
) -> list[Change]:
    """Return the changes of a project below `root`, with those of its lock at the end.

    `site`, `login` and `seeds` are for its first lock. A file that the user deleted does not come
    back, so only a new project gets its seeds.
    """
    path = project.folder / paths.PROJECT_LOCK
    file = reader.actual(root, [path]).get(path)
    lock = first_lock(project, site, login, seeds)
    if file and not is_new:
        lock = parse(file.content, str(root / path))
    glue = list(dagster_project.glue(Project(PurePosixPath(), project.package)))
    written = {project.folder / module: entry for module, entry in lock.glue.items()}
    artifacts = [replace(module, path=project.folder / module.path) for module in glue]
    if is_new:
        artifacts += seeds
    changes = plan(artifacts, _actual(root, artifacts, written), written)
    return [*changes, *below(project.folder, [lock_change(lock, glue, file)])]


def _actual(
    root: Path, artifacts: Iterable[Artifact], written: Mapping[PurePosixPath, Written]
) -> dict[PurePosixPath, Actual]:
    return reader.actual(root, {*written, *(artifact.path for artifact in artifacts)})


def parse(content: bytes, name: str) -> ProjectLock:
    """Return the lock that a file holds."""
    directory = shlex.quote(str(PurePosixPath(name).parent.parent))
    if locks.has_conflict_markers(content):
        raise GenError(
            f"{name}: has a merge conflict; run gen site --all --out {directory} --force"
            " to write it again"
        )
    # gen site knows the project by its own lock, and writes a new one.
    lock = codec.load(ProjectLock, content, name, f"remove {shlex.quote(name)}, then run gen site")
    fault = _fault(lock)
    if fault:
        raise GenError(f"{name}: {fault}")
    return lock


def _fault(lock: ProjectLock) -> str | None:
    """Return what in a well-formed lock gen never writes."""
    if not lock.package.isidentifier():
        return "package: is not the name of a Python package"
    if not re.fullmatch(SLUG, lock.site) or not re.fullmatch(r"[\w.-]+", lock.login):
        return "site, login: are not names"
    if not (lock.gen_version + lock.template).isprintable():
        return "gen_version, template: hold a character that cannot be printed"
    modules = lock.project.sites.parent
    # Without this, a lock could have gen delete any file of the project.
    for path in lock.glue:
        if path.parent != modules or path.suffix != ".py":
            return f"glue.{path}: gen never writes this module"
    for path in lock.base:
        if path.is_absolute() or ".." in path.parts or not str(path).isprintable():
            return f"base.{path!s}: is not a path in the project"
    return None


def below(folder: PurePosixPath, changes: Iterable[Change]) -> list[Change]:
    """Return changes in a project as changes in the directory that holds it."""
    moved: list[Change] = []
    for change in changes:
        artifact = change.artifact
        if artifact:
            artifact = replace(artifact, path=folder / artifact.path)
        moved.append(change._replace(path=folder / change.path, artifact=artifact))
    return moved
