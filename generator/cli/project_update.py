"""`gen project [DIR] --update`: merge a newer template into the files of a project."""

import shlex
from pathlib import Path, PurePosixPath

from generator import __version__, codec, paths
from generator.cli.file_changes import preview, refuse_conflicts
from generator.cli.output import data, say
from generator.errors import GenError
from generator.formatting import count
from generator.workspace import project_lock, reader, writer
from generator.workspace.plan import pending_changes
from generator.workspace.required_version import check_version
from generator.workspace.template_merge import Merge, MergedFile, merge

_TEXTS = {
    Merge.NEW: "",
    Merge.REPLACED: "",
    Merge.MERGED: "your changes are kept",
    Merge.CONFLICT: "edit it as after git merge",
    Merge.DELETED: "by you; the template changed it, and it stays deleted",
    Merge.DROPPED: "from the template; delete it if you do not use it",
}


def run(directory: Path, *, dry_run: bool, force: bool, as_json: bool) -> int:
    """Merge the template, and update the glue; return 1 if a file has a conflict."""
    check_version(directory, __version__)
    if not reader.actual(directory, [paths.PROJECT_LOCK]):
        raise GenError(
            f"{directory}: is not a project of gen, or an older gen made it; in the directory with"
            " its .gen/*.lock, run gen site --all"
        )
    project = project_lock.compare(directory, None, directory)
    files, lock = merge(directory, project.lock)
    changes = [file.change for file in files]
    if dry_run and not as_json:
        preview([(directory, [*project.changes, *changes])], directory)
        return 0
    backups: list[PurePosixPath] = []
    if not dry_run:
        # The glue alone: edits of the other files are merged, so they are not lost.
        if not force:
            refuse_conflicts([(directory, project.changes)])
        record = project_lock.encode(lock, project.glue())
        pending = [*project.changes, *changes]
        backups = writer.apply(directory, pending, paths.PROJECT_LOCK, record)
    conflicts = [file for file in files if file.merge is Merge.CONFLICT]
    if as_json:
        entries = [{"path": file.change.path, "merge": file.merge} for file in files]
        data(codec.report({"files": entries, "backups": backups}))
    else:
        glue = len(pending_changes(project.changes))
        _print(directory, files, backups, glue)
        _print_next_steps(directory, conflicts, glue)
    return 1 if conflicts else 0


def _print(
    directory: Path, files: list[MergedFile], backups: list[PurePosixPath], glue: int
) -> None:
    say(f"The template of gen {__version__}, in {directory}")
    is_changed = bool(glue)
    for file in files:
        if file.merge not in _TEXTS:
            continue
        is_changed = True
        text = _TEXTS[file.merge]
        note = f"  ({text})" if text else ""
        say(f"  {file.merge:9} {file.change.path}{note}")
    for backup in backups:
        say(f"  {'backup':9} {backup}")
    if glue:
        say(f"  {'changed':9} {count(glue, 'file')} that gen keeps up to date")
    if not is_changed:
        say("  The project has it already.")


def _print_next_steps(directory: Path, conflicts: list[MergedFile], glue: int) -> None:
    steps = []
    if conflicts:
        names = shlex.join([str(directory / file.change.path) for file in conflicts])
        steps.append(f"git diff -- {names}, and resolve {count(len(conflicts), 'conflict')}")
    if glue:
        steps.append("gen site --all, where the .gen/*.lock of its sites are")
    if steps:
        say(f"\nNext: {', then '.join(steps)}")
