"""Changes to files as a person and a program see them: refused, previewed, listed."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from generator.cli.output import data, say
from generator.errors import GenError
from generator.workspace.plan import Action, Change

DONE = {
    Action.CREATE: "new",
    Action.UPDATE: "changed",
    Action.CHMOD: "mode",
    Action.DELETE: "removed",
    Action.KEEP: "same",
}


def refuse_conflicts(placed: Iterable[tuple[Path, Iterable[Change]]]) -> None:
    """Refuse, before the first write, changes below some folders that would undo somebody's work.

    Raises:
        GenError: a line for each such file.
    """
    conflicts = [
        f"{root / change.path}: {change.conflict}"
        for root, changes in placed
        for change in _refused(changes)
    ]
    if conflicts:
        hint = "Nothing was written. --dry-run shows the difference; --force replaces such files and keeps a backup."
        raise GenError("\n".join([*conflicts, hint]))


def preview(placed: Sequence[tuple[Path, list[Change]]], out: Path) -> None:
    """Print changes below some folders as one patch, with paths from the folder `out`."""
    from generator.workspace.patch import diff, hidden

    data("".join(diff(changes, PurePosixPath(root.relative_to(out))) for root, changes in placed))
    for root, changes in placed:
        for change in filter(hidden, changes):
            say(f"{root / change.path}: what looks like a secret is masked")
    every = [change for _, changes in placed for change in changes]
    todo = [change for change in every if change.action is not Action.KEEP]
    conflicts = len(_refused(every))
    refused = f", of which {conflicts} would be refused without --force" if conflicts else ""
    say(f"{len(todo)} of {len(every)} files would change{refused}; nothing was written")


def listed(changes: Iterable[Change]) -> list[dict[str, str | None]]:
    """Return changes as programs read them."""
    return [
        {"path": str(item.path), "action": item.action, "conflict": item.conflict}
        for item in changes
    ]


def _refused(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.conflict]
