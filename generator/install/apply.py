"""A move in a home folder carried out: one at a time, records first, a backup of what goes, nothing left behind."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from generator import paths
from generator.compiler.digests import digest
from generator.errors import os_errors_named
from generator.install import foreign_blocks, managed_blocks, record
from generator.install.plan import Move, put
from generator.workspace import writer
from generator.workspace.plan import Action, Change

_MOST = 20
"""Backups of one kind that are kept."""
# Folders that are gen's by their names, whoever made them.
_OWN = (
    paths.HOME_BACKUPS,
    paths.INSTALL_RECORDS,
    paths.STATE,
    paths.installed_ssh_config("any").parent,
)


@contextmanager
def alone(home: Path, files: Iterable[PurePosixPath]) -> Iterator[list[str]]:
    """Let one process at a time change the home folder; yields the folders on the way to some files that are missing.

    Raises:
        GenError: another process does not come to an end.
    """
    ours = [paths.INSTALL_RECORD, paths.HOME_BACKUPS / "any", *files]
    missing = [str(folder) for folder in _above(ours) if not (home / folder).exists()]
    writer.make_private(
        home / folder for folder in missing if paths.INSTALL_LOCK.is_relative_to(folder)
    )
    with writer.locked(home / paths.INSTALL_LOCK):
        written = (
            paths.SSH_CONFIG,
            paths.INSTALL_RECORD,
            paths.HOME_BACKUPS / "any",
            *paths.installed_files("any"),
        )
        for place in {(home / path).resolve().parent for path in written}:
            with os_errors_named(place):
                writer.clear(place)
        try:
            yield missing
        finally:
            if not any((home / paths.INSTALL_RECORDS).glob("*.lock")):
                _leave(home, [*record.shared(home).folders, *missing])


def install(home: Path, move: Move, missing: list[str]) -> list[Path]:
    """Carry out an installation, and return the backups that were made.

    Raises:
        GenError: a file cannot be written; the next run goes on from there.
    """
    known = record.shared(home)
    creates = any(
        change.path == paths.SSH_CONFIG and change.action is Action.CREATE for change in move.files
    )
    folders = (*known.folders, *(folder for folder in missing if folder not in known.folders))
    shared = replace(known, folders=folders, created=known.created or creates)
    writer.carry_out(
        home, [put(home, paths.INSTALL_RECORD, record.encoded(shared)), *move.intents], fenced=False
    )
    needed = _above(change.path for change in move.files)
    writer.make_private(home / folder for folder in needed if str(folder) in folders)
    backups = _backups(home, move.files)
    writer.carry_out(home, [*_agreed(move.files), *move.records], fenced=False)
    return backups


def remember(home: Path, site: str, undo: Mapping[str, Any]) -> None:
    """Keep what takes back that which was agreed to beside the files of a site.

    Raises:
        GenError: it cannot be kept.
    """
    with writer.locked(home / paths.INSTALL_LOCK):
        known = record.shared(home)
        more = replace(known, undo={**known.undo, site: {**known.undo.get(site, {}), **undo}})
        writer.carry_out(
            home, [put(home, paths.INSTALL_RECORD, record.encoded(more))], fenced=False
        )


def uninstall(home: Path, move: Move, secrets: Iterable[Path] = ()) -> list[Path]:
    """Carry out an uninstallation, and return the backups that are there afterwards; of secrets there are none.

    Raises:
        GenError: a file cannot be written or removed; the next run goes on from there.
    """
    _backups(home, move.files)
    for secret in secrets:
        writer.remove(secret)
    writer.carry_out(home, _agreed(move.files), fenced=False)
    if not move.left:
        _drop_backups(home)
    known = record.shared(home)
    undo = {site: what for site, what in known.undo.items() if site in move.left}
    if undo != known.undo:
        writer.carry_out(
            home,
            [put(home, paths.INSTALL_RECORD, record.encoded(replace(known, undo=undo)))],
            fenced=False,
        )
    writer.carry_out(home, move.records, fenced=False)
    return sorted((home / paths.HOME_BACKUPS).glob("*"))


def _above(files: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Return the folders on the way to some files, outermost first."""
    found = {folder for path in files for folder in path.parents if folder.name}
    return sorted(found, key=lambda folder: (len(folder.parts), folder))


def _agreed(changes: Iterable[Change]) -> list[Change]:
    """Return changes that undo somebody's work as such that do not: that work is among the backups."""
    return [replace(change, conflict=None) for change in changes]


def _backups(home: Path, changes: Iterable[Change]) -> list[Path]:
    made = []
    for change in changes:
        goes = change.action in (Action.UPDATE, Action.DELETE) and (
            change.path == paths.SSH_CONFIG or change.conflict
        )
        if goes and change.actual:
            edited = "edited." if change.conflict else ""
            copy = (
                home
                / paths.HOME_BACKUPS
                / f"{digest(change.actual.content)[:8]}.{edited}{change.path.name}"
            )
            with os_errors_named(copy):
                writer.keep(copy, change.actual.content, _MOST)
            made.append(copy)
    return made


def _drop_backups(home: Path) -> None:
    """Remove the backups of an ssh config in which nobody had a line that it has not now."""
    place = home / paths.SSH_CONFIG
    now = place.read_bytes() if place.exists() else b""
    for copy in (home / paths.HOME_BACKUPS).glob(f"????????.{paths.SSH_CONFIG.name}"):
        if (
            foreign_blocks.give_back(managed_blocks.arranged(copy.read_bytes(), str(copy), {}))
            == now
        ):
            writer.remove(copy)


def _leave(home: Path, folders: Iterable[str]) -> None:
    """Remove the folders that gen made and nobody uses; the record of them goes before the last of them only."""
    inward = sorted(
        {*map(str, _OWN), *folders}, key=lambda folder: len(Path(folder).parts), reverse=True
    )
    for folder in inward:
        if not paths.INSTALL_RECORD.is_relative_to(folder):
            writer.remove(home / folder)
    for path in (str(paths.INSTALL_RECORD), str(paths.INSTALL_LOCK), *inward):
        writer.remove(home / path)
