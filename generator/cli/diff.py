"""`gen diff [DIR]`: print a patch that does what `gen site --all` would do.

Imports nothing that writes.
"""

from datetime import date
from pathlib import Path, PurePosixPath

from generator.cli.output import patch, say
from generator.workspace import recompile
from generator.workspace.accepted_drift import accepted_files
from generator.workspace.patch import diff, hides_secret


def run(directory: Path, today: date) -> int:
    """Print the patch, with paths relative to the directory and without accepted drift.

    Return 1 if it has changes.
    """
    text = ""
    masked: list[Path] = []
    survey = recompile.survey(directory)
    accepted = accepted_files(recompile.accepted_lists(directory, survey), today)
    for lock_file in survey.locks:
        lock = recompile.read_lock(lock_file, recompile.read_content(lock_file))
        comparison = recompile.compare(lock_file, lock, directory)
        changes = comparison.without_accepted(accepted).repair()
        text += diff(changes, PurePosixPath(lock_file.directory.relative_to(directory)))
        for change in changes:
            if hides_secret(change):
                masked.append(lock_file.directory / change.path)
    patch(text)
    for path in masked:
        say(
            f"{path}: a line that looks like a secret is masked, so git apply will refuse this file;"
            " gen site --all can write it"
        )
    if not text:
        return 0
    say(f"\nNext: gen diff {directory} | git apply, or gen site --all --out {directory}")
    return 1
