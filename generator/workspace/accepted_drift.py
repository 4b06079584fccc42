"""Drift that a team accepts for a while: `.gen/accepted.yaml`, reviewed like any file, each entry with an end date."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field

from generator.loading.yaml_document import Node
from generator.paths import ACCEPTED_DRIFT
from generator.report.finding import Finding, Level
from generator.schema.base import Model
from generator.schema.text_types import Text
from generator.workspace.drift import Cause


class Entry(Model):
    """One file that may differ for one cause."""

    path: Text
    """The file, from the folder that is checked."""
    cause: Annotated[Cause, Field(strict=False)]
    """What made it differ: edited, stale, missing, orphaned, mode."""
    reason: Text
    """Why that is well for now."""
    until: Annotated[date, Field(strict=False)]
    """The last day on which it is (YYYY-MM-DD)."""


class Accepted(Model):
    """All entries."""

    accepted: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Known:
    """The entries of a folder, and the document that they were read from."""

    entries: tuple[Entry, ...]
    document: Node


def spared(known: Known | None, folder: Path, today: date) -> set[tuple[str, str]]:
    """Return the files that may differ for now, each with the cause that is accepted."""
    entries = known.entries if known else ()
    return {(str(folder / entry.path), entry.cause) for entry in entries if entry.until >= today}


def settle(findings: Sequence[Finding], known: Known, folder: Path, today: date) -> list[Finding]:
    """Return the findings, those that are accepted as notes, and one for each entry that has expired or is not needed.

    Whether an entry is needed cannot be told while something could not be compared.
    """
    settled = list(findings)
    more = []
    where = str(folder / ACCEPTED_DRIFT)
    told = not any(item.rule == "refused" for item in findings)
    for number, entry in enumerate(known.entries):
        file = str(folder / entry.path)
        at = [i for i, item in enumerate(settled) if (item.file, item.rule) == (file, entry.cause)]
        line = known.document.find(("accepted", number))[1].line
        about = f"{file} ({entry.cause})"
        if not at and told:
            more.append(
                _entry("unused", f"{about} does not drift; take the entry out", where, line)
            )
        elif at and entry.until < today:
            more.append(
                _entry(
                    "expired",
                    f"{about} was accepted until {entry.until}: {entry.reason}",
                    where,
                    line,
                )
            )
        for i in at if entry.until >= today else ():
            item = settled[i]
            message = f"{item.message}; accepted until {entry.until}: {entry.reason}"
            settled[i] = replace(item, level=Level.NOTE, message=message)
    return [*settled, *more]


def _entry(rule: str, message: str, where: str, line: int) -> Finding:
    return Finding(
        rule, Level.ERROR, message, site="", file=where, path=where, line=line, key=message
    )
