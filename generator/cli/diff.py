"""`gen diff [DIR]`: print a patch that does what `gen site --all` would do.

Imports nothing that writes.
"""

import os
import shlex
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from generator.cli.output import patch, say, say_next
from generator.workspace import project_lock, recompile
from generator.workspace.accepted_drift import accepted_files
from generator.workspace.patch import diff, hides_secret

if TYPE_CHECKING:
    from generator.workspace.plan import Change
    from generator.workspace.recompile import Comparison


def run(directory: Path, today: date) -> int:
    """Print the patch, with paths relative to the directory and without accepted drift.

    Return 1 if it has changes.
    """
    pending: list[tuple[Path, list[Change]]] = []
    comparisons: list[Comparison] = []
    survey = recompile.survey(directory)
    accepted = accepted_files(recompile.accepted_lists(directory, survey), today)
    for lock_file in survey.locks:
        lock = recompile.read_lock(lock_file, recompile.read_content(lock_file))
        comparison = recompile.compare(lock_file, lock, directory)
        # Accepted drift is intended, so the patch must not undo it.
        comparisons.append(comparison)
        pending.append((lock_file.directory, comparison.without_accepted(accepted).repair()))
    for project_directory, site in project_lock.directories(survey, comparisons).items():
        project = project_lock.compare(project_directory, site, directory)
        pending.append((project_directory, project.without_accepted(accepted).repair()))
    text = ""
    masked: list[Path] = []
    for root, changes in pending:
        text += diff(changes, PurePosixPath(root.relative_to(directory)))
        for change in changes:
            if hides_secret(change):
                masked.append(root / change.path)
    patch(text)
    for path in masked:
        say(
            f"{path}: a line that looks like a secret is masked, so git apply will refuse this"
            " file; gen site --all can write it"
        )
    if not text:
        return 0
    name = shlex.quote(str(directory))
    say_next(f"gen diff {name} | {_apply_command(directory)}")
    say(f"or:\n  gen site --all --out {name}")
    return 1


def _apply_command(directory: Path) -> str:
    """Return the command that applies a patch of a directory, whatever the current directory.

    git-apply(1) takes the paths of a patch from the top of the repository, and skips without a
    word those that are not below the current directory.
    """
    real_directory = Path(os.path.realpath(directory))
    top = _top(real_directory)
    command = ["git"]
    if top != Path(os.path.realpath(".")):
        command += ["-C", os.path.relpath(top)]
    command.append("apply")
    if real_directory != top:
        command.append(f"--directory={real_directory.relative_to(top)}")
    return shlex.join(command)


def _top(directory: Path) -> Path:
    """Return the top of the repository of a directory.

    Without a repository, it is the directory itself.
    """
    for candidate in (directory, *directory.parents):
        if candidate.joinpath(".git").exists():
            return candidate
    return directory
