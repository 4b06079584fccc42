"""`gen site SITE…`: compile sites, write their files, and print the next steps."""

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from generator import __version__, codec, formatting, paths, resources
from generator.cli import next_steps, site_project
from generator.cli.file_changes import DONE, json_entries, preview, refuse_conflicts
from generator.cli.output import data, on_terminal, say
from generator.compiler import digests
from generator.compiler.artifact import Artifact, Owner
from generator.compiler.result import Compilation
from generator.errors import GenError
from generator.loading import inputs, sources
from generator.schema.project import Project
from generator.workspace import lock, project_lock, reader, writer
from generator.workspace.plan import Action, Change, plan
from generator.workspace.required_version import check_version


@dataclass(frozen=True)
class _Generation:
    """A site that is compiled and compared with the files below the output directory."""

    choice: inputs.Choice
    typed: inputs.Inputs
    """The inputs as the user gave them."""
    inputs: inputs.Inputs
    """The same with the recorded values of the last run."""
    previous: lock.Lock | None
    compilation: Compilation
    changes: list[Change]
    kept_project: Project | None
    """The Dagster project that the lock of the last run alone has chosen."""
    left_alone: Project | None
    """The Dagster project of the last run, which this run does not change."""
    project_changes: list[Change]
    """Changes of the project's own files; empty if an earlier site of the run has them."""

    @property
    def name(self) -> str:
        """Name of the site."""
        return self.compilation.site

    def every_change(self) -> list[Change]:
        """Return the changes of the site, then those of its project."""
        return [*self.changes, *self.project_changes]


def run(
    choices: Sequence[inputs.Choice],
    out: Path,
    project_choice: site_project.Choice = True,
    *,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Write the files of sites below a directory; every refusal comes before the first write."""
    if out.exists() and not out.is_dir():
        raise GenError(f"--out {out}: is not a directory")
    check_version(out, __version__)
    asks = not dry_run and not as_json and on_terminal()
    generations = _generations(choices, out, project_choice, force=force, asks=asks)
    every_change = [(out, generation.every_change()) for generation in generations]
    # With --json a dry run prints the changes as JSON below, not as a patch.
    if dry_run and not as_json:
        for generation in generations:
            _print_recorded(generation)
        preview(every_change, out)
        return 0
    backups: dict[str, list[PurePosixPath]] = {}
    if not dry_run:
        if not force:
            refuse_conflicts(every_change)
        for generation in generations:
            backups[generation.name] = _write(generation, out)
    if as_json:
        data(_json(generations, backups))
        return 0
    for generation in generations:
        _print(generation, out, backups[generation.name])
    return 0


def _generations(
    choices: Sequence[inputs.Choice],
    out: Path,
    project_choice: site_project.Choice,
    *,
    force: bool,
    asks: bool,
) -> list[_Generation]:
    """Return the sites in their order; a site that is named twice comes once."""
    generations: dict[str, _Generation] = {}
    shared: Project | None = None
    for choice in choices:
        generation = _generation(choice, out, project_choice, shared, force=force)
        if asks and generation.previous is None and generation.compilation.gaps:
            # Imported only here, for the few runs that ask.
            from generator.cli.missing_values import offer

            answered = offer(choice, generation.compilation)
            if answered:
                generation = _generation(answered, out, project_choice, shared, force=force)
        first = generations.setdefault(generation.name, generation)
        if first.inputs.spec.content != generation.inputs.spec.content:
            raise GenError(
                f"{generation.name}: {first.choice.site} and {choice.site} are different specs "
                "of this site; name one of them"
            )
        # The sites of one run share the project of the first that has one.
        shared = shared or generation.inputs.project
    return _with_projects(list(generations.values()), out, project_choice)


def _with_projects(
    generations: list[_Generation], out: Path, project_choice: site_project.Choice
) -> list[_Generation]:
    """Return the sites, the first of each project with the changes of the project's own files."""
    planned = set[PurePosixPath]()
    for index, generation in enumerate(generations):
        project = generation.inputs.project
        if project is None or project.folder in planned:
            continue
        planned.add(project.folder)
        previous = generation.previous.inputs.project if generation.previous else None
        is_existing = isinstance(project_choice, Path) or _is_shared(project, generation.name)
        changes = project_lock.generation(
            out,
            project,
            generation.name,
            generation.compilation.first_login.alias,
            _seeds(generation.compilation),
            is_new=not is_existing and not site_project.is_seeded(out, project, previous),
        )
        generations[index] = replace(generation, project_changes=changes)
    return generations


def _generation(
    choice: inputs.Choice,
    out: Path,
    project_choice: site_project.Choice,
    shared: Project | None,
    *,
    force: bool,
) -> _Generation:
    typed = inputs.read(choice)
    site = inputs.site(typed.spec)
    previous = _previous_lock(out, paths.lock(site), force)
    chosen = next_steps.with_recorded(typed, previous, choice.unset, site)
    project = site_project.selected(project_choice, out, site, previous, shared)
    chosen = replace(chosen, project=project)
    compilation = next_steps.compilation_of(chosen)
    if compilation.scheduler and project:
        _refuse_project(compilation, project_choice)
        project = None
        chosen = replace(chosen, project=None)

    written: dict[PurePosixPath, lock.Written] = {}
    if previous:
        written |= previous.files
    previous_project = previous.inputs.project if previous else None
    left_alone = previous_project if project_choice is False else None
    if left_alone:
        # This run does not compile the file of the site there, and must not delete it either.
        written.pop(left_alone.wiring(site), None)
    artifact_paths = {artifact.path for artifact in compilation.artifacts}
    actual = reader.actual(out, {*artifact_paths, *written})
    changes = plan(list(compilation.artifacts), actual, written)
    kept_project = None
    if project_choice is True and project and project.same(previous_project):
        # Without the lock, gen would choose this one.
        is_usual = project.folder == PurePosixPath(paths.project_name(site))
        kept_project = None if is_usual else project
    return _Generation(
        choice, typed, chosen, previous, compilation, changes, kept_project, left_alone, []
    )


def _is_shared(project: Project | None, site: str) -> bool:
    """Return whether a site is in the project that was made for another site of its directory."""
    if project is None or project.folder == PurePosixPath():
        return False
    return project.folder != PurePosixPath(paths.project_name(site))


def _write(generation: _Generation, out: Path) -> list[PurePosixPath]:
    """Write the files and the lock of a site, and return the backups."""
    compilation = generation.compilation
    recorded = recorded_inputs(generation.inputs, compilation, out)
    untouched: dict[PurePosixPath, lock.Written] = {}
    if generation.previous and generation.left_alone:
        # The site stays in the project, so gen check must still know its file there.
        recorded = replace(recorded, project=generation.left_alone)
        wiring = generation.left_alone.wiring(generation.name)
        if wiring in generation.previous.files:
            untouched[wiring] = generation.previous.files[wiring]
    record = lock.encode(compilation.site, compilation.artifacts, recorded, untouched)
    return writer.apply(out, generation.every_change(), paths.lock(compilation.site), record)


def _print(generation: _Generation, out: Path, backups: list[PurePosixPath]) -> None:
    compilation = generation.compilation
    _print_changes(generation, out, backups)
    _print_recorded(generation)
    if compilation.scheduler:
        from generator.schema.batch import WITHOUT_SLURM

        say(f"\nScheduler of the site: {compilation.scheduler}; {WITHOUT_SLURM}")
    next_steps.print_remarks(compilation, generation.choice)
    _print_next_steps(compilation, out, generation.inputs.project)
    next_steps.print_renewal_values(compilation, generation.choice)


def _print_recorded(generation: _Generation) -> None:
    if generation.previous is None:
        return
    recorded = generation.previous.inputs
    lines = next_steps.recorded_lines(
        generation.typed, generation.compilation, recorded, "gen site", generation.kept_project
    )
    if lines:
        say("\n".join(["", *lines]))


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


def _seeds(compilation: Compilation) -> list[Artifact]:
    return [file for file in compilation.project_files if file.owner is Owner.SEEDED]


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
        options=chosen_inputs.option_keys or None,
    )


def _resolved(recorded_path: str, compilation: Compilation) -> tuple[str, ...] | None:
    """Return the lines of a spec of the catalogue or of a source.

    A revision of the repository has every other spec.
    """
    if lock.has_path(recorded_path):
        return None
    return lock.spec_lines(compilation.resolved_spec)


def _recorded_path(spec: Path, out: Path) -> str:
    """Return the path of a spec for the lock: the same on every machine, so never absolute."""
    # Where gen is installed differs between machines, so the catalogue has a name of its own.
    if spec.resolve().is_relative_to(resources.CATALOGUE.resolve()):
        return lock.catalogue_path(spec.stem)
    # The version in use is in a directory of its own, so the path would not last.
    origin = sources.at(spec)
    if origin:
        return str(origin[1])
    # The lock goes into git with the spec, and both may be checked out anywhere.
    return Path(os.path.relpath(spec.resolve(), out.resolve())).as_posix()


def _print_changes(generation: _Generation, out: Path, backups: list[PurePosixPath]) -> None:
    say(f"{generation.compilation.title}, in {out}")
    width = 0
    for change in generation.changes:
        if change.artifact and change.artifact.install_to:
            width = max(width, len(str(change.path)))
    for change in generation.changes:
        arrow = ""
        if change.artifact and change.artifact.install_to:
            arrow = f"  → ~/{change.artifact.install_to}"
        say(f"  {DONE[change.action]:9} {change.path!s:{width}}{arrow}".rstrip())
    _print_project_changes(generation.project_changes)
    for backup in backups:
        say(f"  {'backup':9} {backup}")


def _print_project_changes(changes: list[Change]) -> None:
    """Print the changed modules of a project, and the numbers of its new files."""
    new: Counter[Owner] = Counter()
    for change in changes:
        # A new project has about twenty files; a line for each would hide the site's own.
        if change.action is Action.CREATE and change.artifact:
            new[change.artifact.owner] += 1
        elif change.action is not Action.KEEP:
            say(f"  {DONE[change.action]:9} {change.path}")
    texts = {Owner.SEEDED: "yours to edit", Owner.MANAGED: "which gen keeps up to date"}
    for owner, text in texts.items():
        if new[owner]:
            number = formatting.count(new[owner], "file")
            say(f"  {'new':9} {number} of a Dagster project, {text}")


def _print_next_steps(compilation: Compilation, out: Path, project: Project | None) -> None:
    say("\nNext steps:")
    if not (project and project.alone):
        for step in next_steps.first_steps(compilation):
            say(f"  {step}")
        conf = shlex.quote(str(out / paths.ssh_config(compilation.site)))
        say(f"  ssh -F {conf} {shlex.quote(compilation.first_login.alias)}")
    if project and (directory := out / project.folder) != Path():
        kind = "a Dagster project"
        if _is_shared(project, compilation.site):
            kind = "the Dagster project that the sites here share"
        change_directory = f"cd {shlex.quote(str(directory))}"
        comment = f"{kind}; its README has three commands"
        say("\n".join(formatting.commented(change_directory, comment)))


def _json(generations: Sequence[_Generation], backups: Mapping[str, list[PurePosixPath]]) -> str:
    """Return the report: of one site its keys alone, of several a list of sites."""
    sites: list[dict[str, object]] = []
    for generation in generations:
        compilation = generation.compilation
        sites.append(
            {
                "site": compilation.site,
                "files": json_entries(generation.every_change()),
                "backups": backups.get(generation.name, []),
                "missing_values": [gap.name for gap in compilation.gaps],
                "unpinned_host_keys": [keys.name for keys in compilation.unpinned],
            }
        )
    return codec.report(sites[0] if len(sites) == 1 else {"sites": sites})
