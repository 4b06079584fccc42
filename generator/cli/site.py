"""`gen site SITE`: compile, compare, write, and say what comes next."""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from generator import __version__, paths, resources
from generator.cli import next_steps
from generator.cli.file_changes import DONE, listed, preview, refuse_conflicts
from generator.cli.output import data, say
from generator.compiler import digests
from generator.compiler.artifact import Owner
from generator.compiler.result import Compilation
from generator.errors import GenError
from generator.loading import inputs
from generator.schema import project
from generator.schema.project import Project
from generator.workspace import lock, reader, writer
from generator.workspace.plan import Action, Change, plan


def run(
    choice: inputs.Choice,
    out: Path,
    wanted: Project | Path | bool = True,
    *,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Write a site below a folder; all refusals are told before the first write.

    The project may be one to make, the folder of one that is there, the one that the site had or else its own (True),
    or none.

    Raises:
        GenError: faults in spec or profile, files that are not ours to replace, a write that failed.
    """
    if out.exists() and not out.is_dir():
        raise GenError(f"--out {out}: is no folder")
    given = inputs.read(choice)
    site = inputs.site(given.spec)
    was = _was(out, paths.lock(site), force)
    before = was.inputs.project if was else None
    given = replace(given, project=_project(wanted, out, site, was))
    made = next_steps.compiled(given)
    if isinstance(wanted, Path) or _seeded(out, given.project, before):
        made = replace(
            made, artifacts=tuple(item for item in made.artifacts if item.owner is Owner.MANAGED)
        )
    written = was.files if was else {}
    actual = reader.actual(out, {*(artifact.path for artifact in made.artifacts), *written})
    changes = plan(list(made.artifacts), actual, written)
    backups: list[PurePosixPath] = []
    if not dry_run:
        if not force:
            refuse_conflicts([(out, changes)])
        record = lock.encode(made.site, made.artifacts, recorded_inputs(given, made, out))
        backups = writer.apply(out, changes, paths.lock(made.site), record)
    if as_json:
        data(_json(made, changes, backups))
    elif dry_run:
        preview([(out, changes)], out)
    else:
        _summary(made, out, changes, backups)
        next_steps.about(made, choice)
        _next(made, out, given.project)
        next_steps.forgotten(made, was)
        next_steps.unattended(made, choice)
    return 0


def _project(
    wanted: Project | Path | bool, out: Path, site: str, was: lock.Lock | None
) -> Project | None:
    """Return the project that a site is wired into; what `gen site` wrote beside it before, stays."""
    before = was.inputs.project if was else None
    match wanted:
        case Path():
            return _there(wanted, out)
        case Project():
            return replace(wanted, alone=was is None or (before is not None and before.alone))
        case True:
            return replace(before, alone=False) if before else _new(paths.project_name(site), out)
    return None


def _new(name: str, out: Path) -> Project:
    """Return a project to make, in a folder that nobody else has filled."""
    folder, made = out / name, Project(PurePosixPath(name), project.package(name))
    if folder.is_dir() and any(folder.iterdir()) and not (out / made.sites).is_dir():
        raise GenError(
            f"{folder}: is there already, and gen did not make it; name a project (--project) or none (--no-project)"
        )
    return made


def _seeded(out: Path, now: Project | None, was: Project | None) -> bool:
    """Tell whether a project got its seeds before; one that was taken away, or moved, gets them anew."""
    return now is not None and now.same(was) and (out / now.folder).is_dir()


def _there(folder: Path, out: Path) -> Project:
    """Find a project that gen made."""
    packages = [
        sites.parent.name
        for sites in folder.glob("src/*/sites")
        if sites.parent.name.isidentifier()
    ]
    if len(packages) != 1:
        raise GenError(
            f"--project {folder}: is no project that gen made (gen project NAME --site SITE makes one)"
        )
    if not reader.within(folder, out):
        raise GenError(f"--project {folder}: is not below {out}; say with --out what holds it")
    if (keepers := list(_keepers(folder.resolve()))) and out.resolve() not in keepers:
        raise GenError(
            f"--project {folder}: its locks are in {keepers[0] / paths.OUTPUT_STATE}; say --out {keepers[0]}"
        )
    return Project(PurePosixPath(folder.resolve().relative_to(out.resolve())), packages[0])


def _keepers(folder: Path) -> Iterator[Path]:
    """Yield the folders whose locks know of a project: its own, or one above."""
    for above in (folder, *folder.parents):
        for path in sorted(above.glob(str(paths.LOCKS))):
            with suppress(GenError, OSError):  # somebody else's, perhaps
                known = lock.parse(path.read_bytes(), str(path)).inputs.project
                if known and (above / known.folder).resolve() == folder:
                    yield above


def _was(out: Path, where: PurePosixPath, force: bool) -> lock.Lock | None:
    """Return the lock of the last run; with `--force` one that cannot be read counts as none."""
    found = reader.actual(out, [where]).get(where)
    try:
        return lock.parse(found.content, str(out / where)) if found else None
    except GenError:
        if not force:
            raise
        return None


def recorded_inputs(given: inputs.Inputs, made: Compilation, out: Path) -> lock.RecordedInputs:
    """Return the inputs of a generation below a directory, as its lock records them."""
    return lock.RecordedInputs(
        gen_version=__version__,
        templates_digest=made.templates,
        spec=lock.RecordedSpec(
            path=_spec_name(given.spec.path, out),
            sha256=digests.digest(given.spec.content),
            key_digests=made.keys,
        ),
        profile=made.profile,
        overrides=made.changes,
        project=given.project,
    )


def _spec_name(path: Path, out: Path) -> str:
    """Name a spec the same on every machine: by the catalogue, or by its path from the output folder."""
    if path.resolve().is_relative_to(resources.CATALOGUE.resolve()):
        return lock.catalogue_path(path.stem)
    return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()


def _summary(
    made: Compilation, out: Path, changes: list[Change], backups: list[PurePosixPath]
) -> None:
    say(f"{made.title}, in {out}")
    own = [
        change
        for change in changes
        if not (change.artifact and change.artifact.owner is Owner.SEEDED)
    ]
    width = max(
        (len(str(change.path)) for change in own if change.artifact and change.artifact.install_to),
        default=0,
    )
    for change in own:
        target = change.artifact.install_to if change.artifact else None
        place = f"  → ~/{target}" if target else ""
        say(f"  {DONE[change.action]:9} {change.path!s:{width}}{place}".rstrip())
    if seeded := [
        change for change in changes if change not in own and change.action is Action.CREATE
    ]:
        say(f"  {'new':9} {len(seeded)} files of a Dagster project, which are yours from now on")
    for backup in backups:
        say(f"  {'backup':9} {backup}")


def _next(made: Compilation, out: Path, project: Project | None) -> None:
    say("\nNext:")
    if not (project and project.alone):
        for step in next_steps.first_steps(made):
            say(f"  {step}")
        say(
            f"  ssh -F {shlex.quote(str(out / 'ssh' / f'{made.site}.conf'))} {shlex.quote(made.first_login.alias)}"
        )
    if project and (place := out / project.folder) != Path():
        say(f"  cd {shlex.quote(str(place))}   # a Dagster project; its README has three commands")


def _json(made: Compilation, changes: list[Change], backups: list[PurePosixPath]) -> str:
    report = {
        "format_version": "1.0",
        "site": made.site,
        "files": listed(changes),
        "backups": [str(path) for path in backups],
        "missing": [gap.name for gap in made.gaps],
        "unverified": [keys.name for keys in made.unpinned],
    }
    return json.dumps(report, indent=2)
