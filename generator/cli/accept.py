"""`gen accept PATH`: accept the drift of one generated file until a date, as a reviewed entry."""

import json
import os
from datetime import date, timedelta
from pathlib import Path

from generator import paths
from generator.cli.output import say
from generator.errors import GenError, os_errors_named
from generator.files import is_regular, read_regular
from generator.loading import validate, yaml_document
from generator.workspace import project_lock, reader, recompile, writer
from generator.workspace.accepted_file import MOST_DAYS, AcceptedEntry, AcceptedFile
from generator.workspace.drift import Drift

_TITLE = "# Drift that we accept for a while; gen accept adds an entry.\n"


def run(path: Path, until: str, reason: str, today: date) -> int:
    """Add an entry to the list of the output directory that has the file."""
    last_day = _last_day(until, today)
    directory, drift = _drift(path)
    list_path = directory / paths.ACCEPTED_DRIFT
    values = {
        "path": str(drift.change.path),
        "cause": drift.cause.value,
        "reason": reason,
        "until": last_day.isoformat(),
    }
    if drift.sha256:
        values["sha256"] = drift.sha256
    content, entries = _current(list_path)
    for entry in entries:
        if (entry.path, entry.cause) == (values["path"], drift.cause):
            raise GenError(
                f"{list_path}: has an entry for {entry.path} ({entry.cause});"
                " delete it, then try again"
            )
    # Appended as text: to dump the list again would lose the comments of the team.
    text = content or f"{_TITLE}accepted:\n"
    text = text.rstrip("\n") + "\n" + _entry(values)
    _refuse_unless_added(text, list_path, len(entries) + 1)
    with os_errors_named(list_path):
        writer.write_file(list_path, text.encode(), 0o644)
    say(f"{list_path}: accepts that {path} is {drift.cause}, until {last_day}")
    say("A reviewer sees this as a change of trust. Commit it with the file.")
    return 0


def _last_day(until: str, today: date) -> date:
    try:
        last_day = date.fromisoformat(until)
    except ValueError:
        raise GenError(f"--until {until}: is not a date; write it as YYYY-MM-DD") from None
    latest = today + timedelta(days=MOST_DAYS)
    if not today <= last_day <= latest:
        raise GenError(
            f"--until {until}: name a day from today to {latest}, {MOST_DAYS} days from now"
        )
    return last_day


def _drift(path: Path) -> tuple[Path, Drift]:
    """Return the output directory of a file, and its drift."""
    # Not resolved: the lock records the path of a link, and not of its target.
    full_path = Path.cwd() / os.path.normpath(path)
    root = _root(full_path)
    survey = reader.survey(root)
    for lock_file in survey.locks:
        if not full_path.is_relative_to(lock_file.directory):
            continue
        lock = recompile.read_lock(lock_file, recompile.read_content(lock_file))
        for drift in recompile.compare(lock_file, lock, root).drifts():
            if lock_file.directory / drift.change.path == full_path:
                return Path(os.path.relpath(lock_file.directory)), drift
    for directory in survey.projects:
        if not full_path.is_relative_to(directory):
            continue
        for drift in project_lock.compare(directory, None, root).drifts():
            if directory / drift.change.path == full_path:
                return Path(os.path.relpath(directory)), drift
    raise GenError(
        f"{path}: does not drift, so there is nothing to accept; gen check lists what does"
    )


def _root(path: Path) -> Path:
    """Return the work tree of git that has a file, or the current directory."""
    for parent in path.parents:
        # A file in a linked work tree or a submodule, so not only a directory
        # (gitrepository-layout(5)).
        if (parent / ".git").exists():
            return parent
    return Path.cwd()


def _current(path: Path) -> tuple[str, tuple[AcceptedEntry, ...]]:
    if not is_regular(path):
        return "", ()
    with os_errors_named(path):
        content = read_regular(path)
    document = yaml_document.parse(content, str(path))
    return content.decode(), validate.validated(AcceptedFile, document, str(path)).accepted


def _entry(values: dict[str, str]) -> str:
    """Return an entry as YAML: texts in the quotes of JSON, which are YAML too."""
    lines = []
    for name, value in values.items():
        # A date and a cause are plain words. The rest may hold what YAML reads otherwise: a colon
        # in a reason, or a digest of digits alone.
        text = value
        if name not in ("until", "cause"):
            text = json.dumps(value, ensure_ascii=False)
        lines.append(f"    {name}: {text}\n")
    return "  - " + "".join(lines).lstrip(" ")


def _refuse_unless_added(text: str, path: Path, number: int) -> None:
    """Refuse to write a list that does not end with the new entry, whatever its layout was."""
    document = yaml_document.parse(text.encode(), str(path))
    entries = validate.validated(AcceptedFile, document, str(path)).accepted
    if len(entries) != number:
        raise GenError(
            f"{path}: write its entries as a block at the end of the file, a dash for each;"
            " then try again"
        )
