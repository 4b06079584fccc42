"""The Dagster project that `gen site` and `gen project` connect a site to."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from generator import paths
from generator.errors import GenError
from generator.files import read_regular
from generator.schema import project as names
from generator.schema.project import Project
from generator.workspace import lock, reader

Choice = Project | Path | bool
"""A project to create, the directory of an existing one, the usual one (True) or none (False)."""


def selected(
    choice: Choice,
    out: Path,
    site: str,
    previous_lock: lock.Lock | None,
    shared: Project | None = None,
) -> Project | None:
    """Return the project of a site.

    Without an option, it is the previous one, or that of the other sites below the directory, or a
    new one beside the files of the site. `shared` is the project of another site of this run.
    """
    previous = previous_lock.inputs.project if previous_lock else None
    match choice:
        case Path():
            return _existing(choice, out)
        case Project():
            # The site's other files stay if gen site wrote them to this directory before.
            alone = previous_lock is None or (previous is not None and previous.alone)
            return replace(choice, alone=alone)
        case True if previous:
            return replace(previous, alone=False)
        case True:
            return shared or _of_other_sites(out) or _new(paths.project_name(site), out)
        case _:
            return None


def _of_other_sites(out: Path) -> Project | None:
    """Return the project of the sites below a directory, if they all have the same one."""
    projects: dict[Project, None] = {}
    for path in sorted(out.glob(str(paths.LOCKS))):
        with suppress(GenError, OSError):  # the run of that site reports its fault
            project = lock.parse(read_regular(path), str(path)).inputs.project
            if project and (out / project.sites).is_dir():
                projects[replace(project, alone=False)] = None
    return next(iter(projects)) if len(projects) == 1 else None


def is_seeded(out: Path, project: Project | None, previous: Project | None) -> bool:
    """Return whether the project has its first files.

    A deleted or renamed project gets them again.
    """
    return project is not None and project.same(previous) and (out / project.folder).is_dir()


def _new(name: str, out: Path) -> Project:
    directory = out / name
    project = Project(PurePosixPath(name), names.package(name))
    # The lock may be gone, but a project of gen has a directory for its sites.
    if has_files(directory) and not (out / project.sites).is_dir():
        raise GenError(
            f"{directory}: already exists, and gen did not create it;"
            " choose another project with --project DIR, or none with --no-project"
        )
    return project


def has_files(directory: Path) -> bool:
    """Return whether a directory exists and is not empty."""
    return directory.is_dir() and any(directory.iterdir())


def _existing(directory: Path, out: Path) -> Project:
    """Return the project in a directory, which gen must have created."""
    packages: list[str] = []
    for sites in directory.glob("src/*/sites"):
        # Build tools put directories such as `ours.egg-info` beside the package.
        if sites.parent.name.isidentifier():
            packages.append(sites.parent.name)
    if len(packages) != 1:
        raise GenError(
            f"--project {directory}: gen did not create this project;"
            " create one with gen project NAME --site SITE"
        )
    if not reader.within(directory, out):
        raise GenError(
            f"--project {directory}: is not below {out}; name a directory that holds it with --out"
        )
    owners = list(_directories_with_its_locks(directory.resolve()))
    if owners and out.resolve() not in owners:
        state = owners[0] / paths.OUTPUT_STATE
        raise GenError(f"--project {directory}: its locks are in {state}; add --out {owners[0]}")
    return Project(PurePosixPath(directory.resolve().relative_to(out.resolve())), packages[0])


def _directories_with_its_locks(directory: Path) -> Iterator[Path]:
    """Yield the output directories with a site of this project: the project itself, or a parent."""
    for parent in (directory, *directory.parents):
        for path in sorted(parent.glob(str(paths.LOCKS))):
            with suppress(GenError, OSError):  # a lock that cannot be read belongs to another tool
                project = lock.parse(read_regular(path), str(path)).inputs.project
                if project and (parent / project.folder).resolve() == directory:
                    yield parent
