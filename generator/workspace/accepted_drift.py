"""Drift that a team accepts for a while: `.gen/accepted.yaml`.

The file is reviewed like any other, and each entry has an end date.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from generator.loading.yaml_document import Node
from generator.paths import ACCEPTED_DRIFT
from generator.report.finding import Finding, Level
from generator.workspace.drift import Cause

if TYPE_CHECKING:
    from generator.workspace.accepted_file import AcceptedEntry

# As in `accepted_file`, which is imported only if there is such a file.
_MOST_DAYS = 180


class AcceptedDrift(NamedTuple):
    """The entries of a directory, and the document that they were read from."""

    directory: Path
    entries: "tuple[AcceptedEntry, ...]"
    document: Node


def accepted_files(
    lists: Iterable[AcceptedDrift], today: date
) -> dict[tuple[str, str], str | None]:
    """Return the digests of the files that may differ today, by file and accepted cause."""
    files: dict[tuple[str, str], str | None] = {}
    for accepted in lists:
        for entry in accepted.entries:
            # After its last day an entry has no effect, so that the drift is reported again.
            if entry.covers(today):
                files[str(accepted.directory / entry.path), entry.cause] = entry.sha256
    return files


def settle(
    findings: Sequence[Finding],
    accepted: AcceptedDrift,
    digests: Mapping[str, str | None],
    today: date,
) -> list[Finding]:
    """Return the findings; accepted ones are notes, expired and unused entries are errors.

    `digests` are those of the files that drift: only the file that was accepted stays accepted.
    """
    directory = accepted.directory
    settled = list(findings)
    errors = []
    # While a site could not be compared, an entry that looks unused may be needed.
    is_complete = not any(finding.rule == "refused" for finding in findings)
    for number, entry in enumerate(accepted.entries):
        file = str(directory / entry.path)
        line = accepted.document.find(("accepted", number))[1].line
        matches = _matches(settled, file, entry.cause)
        if entry.ends_too_late(today):
            message = (
                f"{file} ({entry.cause}) is accepted for more than {_MOST_DAYS} days; end it sooner"
            )
            errors.append(_error("refused", message, directory, line))
        elif matches and digests.get(file) != entry.sha256:
            message = (
                f"{file} ({entry.cause}) is another file than the accepted one; restore it,"
                f" or accept this one with: {accept_command(file)}"
            )
            errors.append(_error("expired", message, directory, line))
        elif entry.covers(today):
            for index in matches:
                settled[index] = _as_note(settled[index], entry)
        elif matches:
            message = f"{file} ({entry.cause}) was accepted until {entry.until}: {entry.reason}"
            errors.append(_error("expired", message, directory, line))
        if not matches and is_complete:
            message = f"{file} ({entry.cause}) does not drift; delete this entry"
            errors.append(_error("unused", message, directory, line))
    return settled + errors


def accept_command(file: str) -> str:
    """Return the command that accepts the drift of a file; the user fills in two values."""
    return f"gen accept {shlex.quote(file)} --until DATE --reason TEXT"


def _matches(findings: Sequence[Finding], file: str, cause: Cause) -> list[int]:
    matches = []
    for index, finding in enumerate(findings):
        if (finding.file, finding.rule) == (file, cause):
            matches.append(index)
    return matches


def _as_note(finding: Finding, entry: "AcceptedEntry") -> Finding:
    message = f"{finding.message}; accepted until {entry.until}: {entry.reason}"
    return replace(finding, level=Level.NOTE, message=message)


def _error(rule: str, message: str, directory: Path, line: int) -> Finding:
    path = str(directory / ACCEPTED_DRIFT)
    # The message as the key: a viewer tells findings apart by their keys, and all of these have one
    # file.
    return Finding(rule, Level.ERROR, message, "", file=path, path=path, line=line, key=message)
