"""Carry out a plan in a home directory: one process at a time, records first, with backups."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from generator import paths
from generator.compiler.digests import digest
from generator.errors import GenError, os_errors_named
from generator.files import read_regular, refuse_others
from generator.install import managed_blocks, record, replaced_entries
from generator.install.plan import HomePlan, put
from generator.install.record import CommandLink, HomeRecord, OptionalChanges
from generator.ssh.authorized_keys import AddedKey
from generator.workspace import writer
from generator.workspace.plan import Action, Change

_MAX_BACKUPS = 20  # of one kind
# Seconds. With --yes, each of many processes asks ssh while it holds the lock; a script that
# sets up a machine may start twenty, and on a loaded login node one was seen to take ten
# seconds.
_PATIENCE = 300
# Directories that only gen uses, whether or not a record says who created them.
_GEN_DIRECTORIES = (
    paths.HOME_BACKUPS,
    paths.INSTALL_RECORDS,
    paths.STATE,
    paths.installed_ssh_config("any").parent,
)


@contextmanager
def exclusive(
    home: Path, files: Iterable[PurePosixPath], waiting: Callable[[], None]
) -> Iterator[list[str]]:
    """Keep other gen processes out while one changes the home directory.

    Yields the directories that are missing on the way to `files` and to the records. `waiting` is
    called if there is another gen.
    """
    # Before anything is created, since a link could lead into a directory of another user.
    for directory in (paths.HOME_BACKUPS, paths.SITE_CONFIGS, paths.INSTALLED_SPECS):
        refuse_others(home / directory / "any")
    refuse_others(home / paths.INSTALL_LOCK)
    # Parents are created from a path of a file in them; its name does not matter.
    written = [paths.INSTALL_RECORD, paths.HOME_BACKUPS / "any", *files]
    missing: list[str] = []
    for directory in _parents(written):
        if not (home / directory).exists():
            missing.append(str(directory))
    _make_record_directories(home, missing)
    with writer.locked(home / paths.INSTALL_LOCK, _PATIENCE, waiting):
        _delete_scratch_files(home)
        try:
            yield missing
        finally:
            if not any((home / paths.INSTALL_RECORDS).glob("*.lock")):
                _delete_directories(home, [*record.home_record(home).directories, *missing])


def _make_record_directories(home: Path, missing: Iterable[str]) -> None:
    """Make the missing directories of the record at once, with the record of them inside.

    Otherwise, a run that is killed in between would leave directories of which no later run knows
    that gen made them.
    """
    directories: list[str] = []
    for name in missing:
        if paths.INSTALL_RECORD.is_relative_to(name):
            directories.append(name)
    if not directories:
        return
    home_record = record.encoded(HomeRecord(directories=tuple(directories)))
    outermost = home / directories[0]
    with os_errors_named(outermost):
        writer.create_directory(
            outermost, (home / paths.INSTALL_RECORD).relative_to(outermost), home_record
        )


def refuse_if_changed(plan: HomePlan) -> None:
    """Refuse a plan whose input files have changed since the user saw it."""
    changed = plan.inputs.changed()
    if changed:
        names = "\n".join(f"{path}: changed while gen waited for your answer" for path in changed)
        raise GenError(f"{names}\nNothing was written. Run the command again.")


def install(
    home: Path, plan: HomePlan, missing: list[str], secrets: Mapping[str, tuple[str, ...]]
) -> list[Path]:
    """Carry out an installation, and return the backups that it made.

    `secrets` are the ones that exist already, by site, and that came with no installed site.
    """
    home_record = _with_directories(record.home_record(home), missing, _creates_config(plan))
    earlier = dict(home_record.earlier_secrets)
    for site, names in secrets.items():
        earlier[site] = tuple(dict.fromkeys([*earlier.get(site, ()), *names]))
    home_record = replace(home_record, earlier_secrets=earlier)
    _write(home, [_home_record_change(home, home_record), *plan.intents])
    for directory in _parents(change.path for change in plan.files):
        # The directories of the user keep their mode; those of gen get 0700 whatever the umask.
        if str(directory) in home_record.directories:
            writer.make_private_directories([home / directory])
    backups = _back_up(home, plan.files)
    _write(home, [*_without_conflicts(plan.files), *plan.records])
    return backups


def add_optional_changes(home: Path, site: str, changes: OptionalChanges) -> None:
    """Add changes to the record that the user agreed to after an installation."""
    with writer.locked(home / paths.INSTALL_LOCK, _PATIENCE):
        earlier = record.home_record(home).optional_changes.get(site, OptionalChanges())
        merged = replace(
            earlier,
            windows=changes.windows or earlier.windows,
            settings=changes.settings or earlier.settings,
            links=tuple(dict.fromkeys([*earlier.links, *changes.links])),
        )
        _record_optional_changes(home, site, merged)


def record_authorized_key(home: Path, site: str, line: str, added: AddedKey | None) -> None:
    """Record a line in ~/.ssh/authorized_keys at a site, or with ``None`` that gen did not add it.

    The record is read while no other gen can write: two may add a line each at the same time.
    """
    with writer.locked(home / paths.INSTALL_LOCK, _PATIENCE):
        earlier = record.home_record(home).optional_changes.get(site, OptionalChanges())
        keys = [key for key in earlier.authorized_keys if key.line != line]
        if added:
            keys.append(added)
        _record_optional_changes(home, site, replace(earlier, authorized_keys=tuple(keys)))


def _record_optional_changes(home: Path, site: str, changes: OptionalChanges) -> None:
    home_record = record.home_record(home)
    by_site = {**home_record.optional_changes, site: changes}
    _write(home, [_home_record_change(home, replace(home_record, optional_changes=by_site))])


def delete_link(home: Path, link: CommandLink) -> None:
    """Delete a link that gen made, unless it leads elsewhere since."""
    path = home / link.path
    if path.is_symlink() and os.readlink(path) == link.target:  # noqa: PTH115
        writer.remove(path)
        if link.created_directory:
            writer.remove(path.parent)  # stays if it is not empty


def uninstall(home: Path, plan: HomePlan, secrets: Iterable[Path] = ()) -> list[Path]:
    """Carry out an uninstallation, and return the backups that remain. Secrets get no backup."""
    # First the copies, so that a kill at any point loses nothing of the user's.
    _back_up(home, plan.files)
    for secret in secrets:
        writer.remove(secret)
    _write(home, _without_conflicts(plan.files))
    if not plan.remaining:
        _delete_needless_backups(home)
    home_record = record.home_record(home)
    remaining = _without_other_sites(home_record, plan.remaining)
    if remaining != home_record:
        _write(home, [_home_record_change(home, remaining)])
    _write(home, plan.records)
    return sorted((home / paths.HOME_BACKUPS).glob("*"))


def _write(home: Path, changes: Iterable[Change]) -> None:
    writer.carry_out(home, changes, fenced=False)


def _home_record_change(home: Path, home_record: HomeRecord) -> Change:
    return put(home, paths.INSTALL_RECORD, record.encoded(home_record))


def _without_other_sites(home_record: HomeRecord, sites: Collection[str]) -> HomeRecord:
    """Return the record with the entries of these sites alone."""
    changes: dict[str, OptionalChanges] = {}
    secrets: dict[str, tuple[str, ...]] = {}
    for site in sites:
        if site in home_record.optional_changes:
            changes[site] = home_record.optional_changes[site]
        if site in home_record.earlier_secrets:
            secrets[site] = home_record.earlier_secrets[site]
    return replace(home_record, optional_changes=changes, earlier_secrets=secrets)


def _creates_config(plan: HomePlan) -> bool:
    for change in plan.files:
        if change.path == paths.SSH_CONFIG:
            return change.action is Action.CREATE
    return False


def _with_directories(
    home_record: HomeRecord, missing: Iterable[str], creates_config: bool
) -> HomeRecord:
    """Return the record with the directories and the ssh config that gen is about to create."""
    directories = list(home_record.directories)
    for directory in missing:
        if directory not in directories:
            directories.append(directory)
    return replace(
        home_record,
        directories=tuple(directories),
        config_created=home_record.config_created or creates_config,
    )


def _parents(files: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Return the directories on the way to some files, outermost first."""
    directories: set[PurePosixPath] = set()
    for file in files:
        directories.update(file.parents)
    directories.discard(PurePosixPath())
    return sorted(directories, key=lambda directory: (len(directory.parts), directory))


def _delete_scratch_files(home: Path) -> None:
    """Delete the scratch files of runs that were killed."""
    written = [paths.SSH_CONFIG, paths.INSTALL_RECORD, paths.HOME_BACKUPS / "any"]
    written += paths.installed_files("any")
    # ~/.ssh/config may be a link: the scratch file is beside the real file.
    directories = set(map(_real_directory, [home / path for path in written]))
    # A killed run may have left the directories of the record in one of these.
    directories.update((home / path).resolve() for path in paths.INSTALL_RECORDS.parents)
    for directory in directories:
        with os_errors_named(directory):
            writer.remove_scratch_files(directory)


def _real_directory(path: Path) -> Path:
    return path.resolve().parent


def _without_conflicts(changes: Iterable[Change]) -> list[Change]:
    """Return changes for the writer, which would make a backup of its own for a conflict."""
    return [change._replace(conflict=None) for change in changes]


def _back_up(home: Path, changes: Iterable[Change]) -> list[Path]:
    """Keep a copy of the ssh config and of each file with the user's edits, before it changes."""
    backups: list[Path] = []
    for change in changes:
        if change.actual is None or change.action not in (Action.UPDATE, Action.DELETE):
            continue
        if change.path != paths.SSH_CONFIG and not change.conflict:
            continue
        edited = "edited." if change.conflict else ""
        name = f"{digest(change.actual.content)[:8]}.{edited}{change.path.name}"
        backup = home / paths.HOME_BACKUPS / name
        with os_errors_named(backup):
            writer.write_backup(backup, change.actual.content, _MAX_BACKUPS)
        backups.append(backup)
    return backups


def _delete_needless_backups(home: Path) -> None:
    """Delete each backup of the ssh config whose lines of the user are all in the config now."""
    config = home / paths.SSH_CONFIG
    content = read_regular(config) if config.exists() else b""
    for backup in (home / paths.HOME_BACKUPS).glob(f"????????.{paths.SSH_CONFIG.name}"):
        without_blocks = managed_blocks.arranged(read_regular(backup), str(backup), {})
        if replaced_entries.give_back(without_blocks) == content:
            writer.remove(backup)


def _delete_directories(home: Path, created: Iterable[str]) -> None:
    """Delete the empty directories that gen created, and last those with the record of them.

    A run that is killed before that can still be completed.
    """
    directories = {*map(str, _GEN_DIRECTORIES), *created}
    outward = sorted(directories, key=lambda directory: len(Path(directory).parts), reverse=True)
    around_record: list[Path] = []
    for directory in outward:
        if paths.INSTALL_RECORD.is_relative_to(directory):
            around_record.insert(0, home / directory)
        else:
            writer.remove(home / directory)
    for directory_of_record in around_record:
        if _has_only_record(home, directory_of_record):
            # At once: without the record, no later run would know that gen made the directories.
            writer.remove_at_once(directory_of_record)
            return
    for path in (paths.INSTALL_RECORD, paths.INSTALL_LOCK):
        writer.remove(home / path)
    for directory_of_record in reversed(around_record):
        writer.remove(directory_of_record)


def _has_only_record(home: Path, directory: Path) -> bool:
    """Return whether a directory around the record has nothing else in it."""
    way_to_record = {home / paths.INSTALL_RECORD, home / paths.INSTALL_LOCK}
    for path in tuple(way_to_record):
        way_to_record.update(path.parents)
    while directory.is_dir():
        inner: list[Path] = []
        for path in directory.iterdir():
            if path not in way_to_record or path.is_symlink():
                return False
            if path.is_dir():
                inner.append(path)
        if not inner:
            return True
        directory = inner[0]
    return False
