"""`gen site SITE`: compile a site, write its files, and print the next steps."""

import os
import shlex
from dataclasses import replace
from pathlib import Path, PurePosixPath

from generator import __version__, codec, formatting, paths, resources
from generator.cli import next_steps, site_project
from generator.cli.file_changes import DONE, json_entries, preview, refuse_conflicts
from generator.cli.output import data, say
from generator.compiler import digests
from generator.compiler.artifact import Artifact, Owner
from generator.compiler.result import Compilation
from generator.errors import GenError
from generator.loading import inputs
from generator.schema.project import Project
from generator.workspace import lock, reader, writer
from generator.workspace.plan import Action, Change, plan
from generator.workspace.required_version import check_version


def run(
    choice: inputs.Choice,
    out: Path,
    project_choice: site_project.Choice = True,
    *,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Write the files of a site below a directory; every refusal comes before the first write."""
    if out.exists() and not out.is_dir():
        raise GenError(f"--out {out}: is not a directory")
    check_version(out, __version__)
    chosen_inputs = inputs.read(choice)
    site = inputs.site(chosen_inputs.spec)
    previous = _previous_lock(out, paths.lock(site), force)
    previous_project = None
    if previous:
        previous_project = previous.inputs.project
    project = site_project.selected(project_choice, out, site, previous)
    chosen_inputs = replace(chosen_inputs, project=project)
    compilation = next_steps.compilation_of(chosen_inputs)
    if compilation.scheduler and project:
        _refuse_project(compilation, project_choice)
        project = None
        chosen_inputs = replace(chosen_inputs, project=None)
    if isinstance(project_choice, Path) or site_project.is_seeded(out, project, previous_project):
        compilation = replace(compilation, artifacts=_managed(compilation.artifacts))

    written: dict[PurePosixPath, lock.Written] = {}
    if previous:
        written |= previous.files
    artifact_paths = {artifact.path for artifact in compilation.artifacts}
    actual = reader.actual(out, {*artifact_paths, *written})
    changes = plan(list(compilation.artifacts), actual, written)
    # With --json a dry run prints the changes as JSON below, not as a patch.
    if dry_run and not as_json:
        preview([(out, changes)], out)
        return 0
    backups: list[PurePosixPath] = []
    if not dry_run:
        if not force:
            refuse_conflicts([(out, changes)])
        recorded = recorded_inputs(chosen_inputs, compilation, out)
        record = lock.encode(compilation.site, compilation.artifacts, recorded)
        backups = writer.apply(out, changes, paths.lock(compilation.site), record)
    if as_json:
        data(_json(compilation, changes, backups))
        return 0
    _print_changes(compilation, out, changes, backups)
    if compilation.scheduler:
        say(f"\nScheduler of the site: {compilation.scheduler}; {next_steps.WITHOUT_SLURM}")
    next_steps.print_remarks(compilation, choice)
    _print_next_steps(compilation, out, project)
    next_steps.print_omitted_options(compilation, previous)
    next_steps.print_renewal_values(compilation, choice)
    return 0


def _refuse_project(compilation: Compilation, choice: site_project.Choice) -> None:
    """Refuse a project that the user asked for at a site without Slurm.

    The usual one is left out.
    """
    if choice is True:
        return
    raise GenError(
        f"{compilation.site}: its scheduler is {compilation.scheduler}, and a Dagster project"
        f" submits jobs to Slurm; run gen site {compilation.site} without a project"
    )


def _previous_lock(out: Path, path: PurePosixPath, force: bool) -> lock.Lock | None:
    """Return the lock of the last run; `--force` ignores one that cannot be read."""
    file = reader.actual(out, [path]).get(path)
    if file is None:
        return None
    try:
        return lock.parse(file.content, str(out / path))
    except GenError:
        if force:
            return None
        raise


def _managed(artifacts: tuple[Artifact, ...]) -> tuple[Artifact, ...]:
    # The user may have renamed or deleted a seeded file, and it must not come back.
    return tuple(artifact for artifact in artifacts if artifact.owner is Owner.MANAGED)


def recorded_inputs(
    chosen_inputs: inputs.Inputs, compilation: Compilation, out: Path
) -> lock.RecordedInputs:
    """Return the inputs of a generation below a directory, as its lock records them."""
    recorded_path = _recorded_path(chosen_inputs.spec.path, out)
    return lock.RecordedInputs(
        gen_version=__version__,
        templates_digest=compilation.templates,
        spec=lock.RecordedSpec(
            path=recorded_path,
            sha256=digests.digest(chosen_inputs.spec.content),
            key_digests=compilation.keys,
            resolved=_resolved(recorded_path, compilation),
        ),
        profile=compilation.profile,
        overrides=compilation.changes,
        project=chosen_inputs.project,
    )


def _resolved(recorded_path: str, compilation: Compilation) -> tuple[str, ...] | None:
    """Return the lines of a spec of the catalogue.

    A revision of the repository has every other spec.
    """
    if not lock.is_catalogue_path(recorded_path):
        return None
    return lock.spec_lines(compilation.resolved_spec)


def _recorded_path(spec: Path, out: Path) -> str:
    """Return the path of a spec for the lock: the same on every machine, so never absolute."""
    # Where gen is installed differs between machines, so the catalogue has a name of its own.
    if spec.resolve().is_relative_to(resources.CATALOGUE.resolve()):
        return lock.catalogue_path(spec.stem)
    # The lock goes into git with the spec, and both may be checked out anywhere.
    return Path(os.path.relpath(spec.resolve(), out.resolve())).as_posix()


def _print_changes(
    compilation: Compilation, out: Path, changes: list[Change], backups: list[PurePosixPath]
) -> None:
    say(f"{compilation.title}, in {out}")
    width = 0
    for change in changes:
        if change.artifact and change.artifact.install_to:
            width = max(width, len(str(change.path)))
    new_project_files = 0
    for change in changes:
        # A new project has about twenty files; a line for each would hide the site's own.
        if change.artifact and change.artifact.owner is Owner.SEEDED:
            new_project_files += change.action is Action.CREATE
            continue
        arrow = ""
        if change.artifact and change.artifact.install_to:
            arrow = f"  → ~/{change.artifact.install_to}"
        say(f"  {DONE[change.action]:9} {change.path!s:{width}}{arrow}".rstrip())
    if new_project_files:
        number = formatting.count(new_project_files, "file")
        say(f"  {'new':9} {number} of a Dagster project, yours to edit")
    for backup in backups:
        say(f"  {'backup':9} {backup}")


def _print_next_steps(compilation: Compilation, out: Path, project: Project | None) -> None:
    say("\nNext steps:")
    if not (project and project.alone):
        for step in next_steps.first_steps(compilation):
            say(f"  {step}")
        conf = shlex.quote(str(out / paths.ssh_config(compilation.site)))
        say(f"  ssh -F {conf} {shlex.quote(compilation.first_login.alias)}")
    if project and (directory := out / project.folder) != Path():
        say(
            f"  cd {shlex.quote(str(directory))}   # a Dagster project;"
            " its README has three commands"
        )


def _json(compilation: Compilation, changes: list[Change], backups: list[PurePosixPath]) -> str:
    return codec.report(
        {
            "site": compilation.site,
            "files": json_entries(changes),
            "backups": backups,
            "missing_values": [gap.name for gap in compilation.gaps],
            "unpinned_host_keys": [keys.name for keys in compilation.unpinned],
        }
    )
