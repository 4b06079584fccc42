"""`gen diff [DIR]`: what `gen site --all` would change, as a patch for `git apply`. Imports nothing that writes."""

from datetime import date
from pathlib import Path, PurePosixPath

from generator.cli.output import data, say
from generator.workspace import accepted_drift
from generator.workspace.patch import diff, hidden
from generator.workspace.recompile import compare, found_in, known_in, recorded


def run(folder: Path, today: date) -> int:
    """Print the patch, with paths from the folder and without what is accepted; 1 when there is something in it.

    Raises:
        GenError: there is nothing to compare, or a site cannot be.
    """
    patch, masked = "", []
    spared = accepted_drift.spared(known_in(folder), folder, today)
    for root, where in found_in(folder):
        found = compare(root, where, recorded(root, where), folder)
        changes = found.sparing(spared).repair()
        patch += diff(changes, PurePosixPath(root.relative_to(folder)))
        masked += [str(root / change.path) for change in changes if hidden(change)]
    data(patch)
    for file in masked:
        say(
            f"{file}: what looks like a secret is masked, so git apply will not take the patch of this file"
        )
    if patch:
        say(f"\nNext: gen diff {folder} | git apply, or gen site --all --out {folder}")
    return 1 if patch else 0
