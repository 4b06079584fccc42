"""`gen site SITE`: compile, compare, write, and say what comes next."""

import json
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from generator import __version__, cache, disk, inputs, lock, project, resources, tree
from generator.artifact import Owner
from generator.compilation import Compilation
from generator.errors import GenError
from generator.plan import Action, Change, plan
from generator.project import Project
from generator.terminal import data, say


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
    was = _was(out, lock.path(site), force)
    before = was.recipe.project if was else None
    given = replace(given, project=_project(wanted, out, site, before))
    made = cache.recalled(given, _build)
    if isinstance(wanted, Path) or (given.project and given.project.same(before)):
        made = replace(made, artifacts=tuple(item for item in made.artifacts if item.owner is Owner.MANAGED))
    written = was.files if was else {}
    actual = tree.actual(out, {*(artifact.path for artifact in made.artifacts), *written})
    changes = plan(list(made.artifacts), actual, written)
    backups: list[PurePosixPath] = []
    if not dry_run:
        if not force:
            refuse_conflicts([(out, changes)])
        record = lock.of(made.site, made.artifacts, _recipe(given, made, out))
        backups = disk.apply(out, changes, lock.path(made.site), record)
    if as_json:
        data(_json(made, changes, backups))
    elif dry_run:
        preview([(out, changes)], out)
    else:
        _summary(made, out, changes, backups)
        _next(made, out, given.project)
        _forgotten(made, was)
    return 0


def _project(wanted: Project | Path | bool, out: Path, site: str, was: Project | None) -> Project | None:
    """Return the project that a site is wired into."""
    match wanted:
        case Path():
            return _there(wanted, out)
        case True if was:
            return replace(was, alone=False)
        case True:
            name = f"{site}-pipelines"
            return Project(PurePosixPath(name), project.package(name))
        case False:
            return None
    return wanted


def _there(folder: Path, out: Path) -> Project:
    """Find a project that gen made."""
    packages = [sites.parent.name for sites in folder.glob("src/*/sites") if sites.parent.name.isidentifier()]
    if len(packages) != 1:
        raise GenError(f"--project {folder}: is no project that gen made (gen project NAME --site SITE makes one)")
    if not tree.within(folder, out):
        raise GenError(f"--project {folder}: is not below {out}; say with --out what holds it")
    return Project(PurePosixPath(folder.resolve().relative_to(out.resolve())), packages[0])


def _build(given: inputs.Inputs) -> Compilation:
    from generator.build import build

    return build(given)


def _was(out: Path, where: PurePosixPath, force: bool) -> lock.Lock | None:
    """Return the lock of the last run; with `--force` one that cannot be read counts as none."""
    found = tree.actual(out, [where]).get(where)
    try:
        return lock.parse(found.content, str(out / where)) if found else None
    except GenError:
        if not force:
            raise
        return None


def _forgotten(made: Compilation, was: lock.Lock | None) -> None:
    """Tell which values of the last run are not given any more: options are easily forgotten."""
    person = was.recipe.person if was else {}
    lost = [f"{key} ({value})" for key, value in person.items() if key not in made.person]
    lost += [f"--set {change}" for change in (was.recipe.changes if was else ()) if change not in made.changes]
    if lost:
        say(f"\nNot given this time, and so left out: {', '.join(lost)}. Give it again, or put it into the profile.")


def refuse_conflicts(placed: Iterable[tuple[Path, Iterable[Change]]]) -> None:
    """Refuse, before the first write, changes below some folders that would undo somebody's work.

    Raises:
        GenError: a line for each such file.
    """
    conflicts = [f"{root / change.path}: {change.conflict}" for root, changes in placed for change in _refused(changes)]
    if conflicts:
        hint = "Nothing was written. --dry-run shows the difference; --force replaces such files and keeps a backup."
        raise GenError("\n".join([*conflicts, hint]))


def _refused(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.conflict]


def _recipe(given: inputs.Inputs, made: Compilation, out: Path) -> lock.Recipe:
    return lock.Recipe(
        gen=__version__,
        templates=made.templates,
        spec=_spec_name(given.spec.path, out),
        spec_digest=lock.digest(given.spec.content),
        keys=made.keys,
        person=made.person,
        changes=made.changes,
        project=given.project,
    )


def _spec_name(path: Path, out: Path) -> str:
    """Name a spec the same on every machine: by the catalogue, or by its path from the output folder."""
    if path.resolve().is_relative_to(resources.CATALOGUE.resolve()):
        return lock.catalogue(path.stem)
    return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()


def preview(placed: Sequence[tuple[Path, list[Change]]], out: Path) -> None:
    """Print changes below some folders as one patch, with paths from the folder `out`."""
    from generator.report.diff import diff, hidden

    data("".join(diff(changes, PurePosixPath(root.relative_to(out))) for root, changes in placed))
    for root, changes in placed:
        for change in filter(hidden, changes):
            say(f"{root / change.path}: what looks like a secret is masked")
    every = [change for _, changes in placed for change in changes]
    todo = [change for change in every if change.action is not Action.KEEP]
    conflicts = len(_refused(every))
    refused = f", of which {conflicts} would be refused without --force" if conflicts else ""
    say(f"{len(todo)} of {len(every)} files would change{refused}; nothing was written")


DONE = {
    Action.CREATE: "new",
    Action.UPDATE: "changed",
    Action.CHMOD: "mode",
    Action.DELETE: "removed",
    Action.KEEP: "same",
}


def _summary(made: Compilation, out: Path, changes: list[Change], backups: list[PurePosixPath]) -> None:
    say(f"{made.title}, in {out}")
    own = [change for change in changes if not (change.artifact and change.artifact.owner is Owner.SEEDED)]
    width = max((len(str(change.path)) for change in own if change.artifact and change.artifact.install_to), default=0)
    for change in own:
        target = change.artifact.install_to if change.artifact else None
        place = f"  → ~/{target}" if target else ""
        say(f"  {DONE[change.action]:9} {change.path!s:{width}}{place}".rstrip())
    if seeded := [change for change in changes if change not in own and change.action is Action.CREATE]:
        say(f"  {'new':9} {len(seeded)} files of a Dagster project, which are yours from now on")
    for backup in backups:
        say(f"  {'backup':9} {backup}")
    if any(change.path.parent.name == "systemd" for change in changes):
        say("\nThe timer runs gen refresh, which this version does not have yet.")
    if made.status:
        say(f"\nStatus of the site: {made.status}")
    _gaps(made)
    for keys in made.unpinned:
        say(f"\nHost keys “{keys.name}” are not pinned: {keys.reason}.")
        say(f"  Compare them (gen show {made.site}) with {keys.docs}, then add --accept-unverified.")


def _gaps(made: Compilation) -> None:
    if not made.gaps:
        return
    say("\nYours to fill in, in ~/.config/gen/profile.yaml or as an option:")
    for gap in made.gaps:
        option = f"  (--{gap.name})" if gap.name in ("user", "email", "account") else ""
        say(f"  {gap.name + ':':11}{gap.meaning}{option}")


def _next(made: Compilation, out: Path, project: Project | None) -> None:
    say("\nNext:")
    if not (project and project.alone):
        _login(made, out)
    if project:
        say(f"  cd {shlex.quote(str(out / project.folder))}   # a Dagster project; its README has three commands")


def _login(made: Compilation, out: Path) -> None:
    login = made.first_login
    if login.make_key and login.key and not _is_there(login.key):
        say(f"  {login.make_key}")
        if login.submit:
            say(f"  then hand in {login.key}.pub {login.submit}")
    elif not _is_there("~/.ssh"):  # ssh-keygen would make it
        say("  mkdir -m 700 ~/.ssh   # ssh keeps shared connections there, and ends without it")
    for command in login.credential:
        say(f"  {command}")
    say(f"  ssh -F {shlex.quote(str(out / 'ssh' / f'{made.site}.conf'))} {shlex.quote(login.alias)}")


def _is_there(path: str) -> bool:
    """Tell whether a file of the person's is there; who has no home has none."""
    return os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111 - Path raises where there is no home


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


def listed(changes: Iterable[Change]) -> list[dict[str, str | None]]:
    """Return changes as programs read them."""
    return [{"path": str(item.path), "action": item.action, "conflict": item.conflict} for item in changes]
