"""Changes to files as users and programs see them: refusals, a preview, a list."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from generator.cli.output import patch, say
from generator.errors import GenError
from generator.formatting import count
from generator.workspace.plan import Action, Change, pending_changes

DONE = {
    Action.CREATE: "new",
    Action.UPDATE: "changed",
    Action.CHMOD: "mode",
    Action.DELETE: "removed",
    Action.KEEP: "same",
}


PLANNED = {
    Action.CREATE: "new",
    Action.UPDATE: "change",
    Action.CHMOD: "mode",
    Action.DELETE: "delete",
}


def refuse_conflicts(planned: Iterable[tuple[Path, Iterable[Change]]]) -> None:
    """Refuse, before the first write, changes that would overwrite the work of a user."""
    lines = []
    for root, changes in planned:
        for change in changes:
            if change.conflict:
                lines.append(f"{root / change.path}: {change.conflict}")
    if lines:
        hint = (
            "Nothing was written. --dry-run shows the difference;"
            " --force replaces such files and keeps a backup."
        )
        raise GenError("\n".join([*lines, hint]))


def preview(planned: Sequence[tuple[Path, list[Change]]], out: Path) -> None:
    """Print changes below directories as one patch, with paths relative to the directory `out`."""
    # Only a preview needs difflib.
    from generator.workspace.patch import diff, hides_secret

    text = ""
    masked: list[Path] = []
    changes: list[Change] = []
    for root, changes_below in planned:
        text += diff(changes_below, PurePosixPath(root.relative_to(out)))
        changes += changes_below
        for change in changes_below:
            if hides_secret(change):
                masked.append(root / change.path)
    patch(text)
    for path in masked:
        say(f"{path}: a line that looks like a secret is masked")
    say(f"{_summary(changes)}; nothing was written")


def _summary(changes: list[Change]) -> str:
    pending = len(pending_changes(changes))
    conflicts = len([change for change in changes if change.conflict])
    summary = f"{pending} of {count(len(changes), 'file')} would change"
    if conflicts:
        summary += f", of which {conflicts} would be refused without --force"
    return summary


def summary_lines(changes: Iterable[Change]) -> list[str]:
    """Return a line for each change of a home directory, with the number of lines it changes."""
    lines: list[str] = []
    for change in changes:
        before = Counter(change.actual.content.splitlines() if change.actual else [])
        after = Counter(change.artifact.content.splitlines() if change.artifact else [])
        counts: list[str] = []
        # As in the summary of a pull request; a line that only moved does not count.
        if after:
            counts.append(f"+{(after - before).total()}")
        if before:
            counts.append(f"-{(before - after).total()}")
        lines.append(f"  {PLANNED[change.action]:9} ~/{change.path}  ({' '.join(counts)} lines)")
    return lines


def json_entries(changes: Iterable[Change]) -> list[dict[str, str | None]]:
    """Return an entry of a JSON report for each change."""
    entries: list[dict[str, str | None]] = []
    for change in changes:
        entries.append(
            {"path": str(change.path), "action": change.action, "conflict": change.conflict}
        )
    return entries
