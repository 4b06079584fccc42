"""The install record below `~/.local/state/gen`: a lock for each site, and one file for all sites.

A record may be damaged or tampered with. So every path in it is compared with the paths that gen
itself uses, and gen deletes nothing because of an unknown path.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from generator import codec, formatting, paths
from generator.compiler.digests import digest
from generator.errors import GenError
from generator.files import refuse_others
from generator.ssh.authorized_keys import AddedKey
from generator.workspace import lock, reader
from generator.workspace.lock import Lock, RecordedSpec, Written

_LONGEST_PATH = 300  # characters of a path in a message


@dataclass(frozen=True)
class WindowsCopy:
    """A copy of a site's ssh file in the Windows home of a WSL user."""

    path: str
    digest: str


@dataclass(frozen=True)
class EditorSetting:
    """The timeout in VS Code's settings."""

    path: str
    created: bool
    """gen created the settings file."""


@dataclass(frozen=True)
class CommandLink:
    """A link to a command that the timer and ssh would not find otherwise."""

    path: str
    target: str
    created_directory: bool


@dataclass(frozen=True)
class OptionalChanges:
    """Changes beside the files of a site that the user agreed to after the installation."""

    windows: WindowsCopy | None = None
    settings: EditorSetting | None = None
    links: tuple[CommandLink, ...] = ()
    authorized_keys: tuple[AddedKey, ...] = ()
    """Lines that gen added to ~/.ssh/authorized_keys at the site."""


@dataclass(frozen=True)
class HomeRecord:
    """What gen needs in order to leave the home directory as it was before the first site."""

    directories: tuple[str, ...] = ()
    """Directories that gen created."""
    config_created: bool = False
    """gen created the ssh config."""
    optional_changes: Mapping[str, OptionalChanges] = field(default_factory=dict)
    """By site."""
    earlier_secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By site: the secrets that its spec names and that existed before its installation."""


def installed(home: Path) -> dict[str, Lock]:
    """Return the lock of every installed site, by name."""
    names = sorted(path.stem for path in (home / paths.INSTALL_RECORDS).glob("*.lock"))
    for name in names:
        refuse_others(home / paths.installed_lock(name))
    files = reader.actual(home, map(paths.installed_lock, names), fenced=False)
    return {path.stem: _lock(home, path, actual.content) for path, actual in files.items()}


def installed_lock(home: Path, site: str) -> Lock | None:
    """Return the lock of a site, ``None`` if no site of this name is installed."""
    path = paths.installed_lock(site)
    if not (home / path).exists():
        return None
    refuse_others(home / path)
    file = reader.actual(home, [path], fenced=False).get(path)
    return _lock(home, path, file.content) if file else None


def spec_path(home: Path, spec: RecordedSpec) -> Path:
    """Return the path from which a site was installed; its spec must have a path."""
    return Path(os.path.normpath(home.resolve() / spec.path))


def origin(home: Path, spec: RecordedSpec) -> str:
    """Return where a site was installed from, as users write it: a name, or a path with `~`."""
    if not spec.has_path:
        return spec.path
    return formatting.home(spec_path(home, spec))


def is_as_written(content: bytes, written: Written) -> bool:
    """Return whether an installed file is as gen wrote it.

    Programs that rewrite ssh files, such as ssh-config for JavaScript, strip the last newline.
    """
    return written.sha256 in (digest(content), digest(content + b"\n"))


def _lock(home: Path, path: PurePosixPath, content: bytes) -> Lock:
    fix = f"delete this file, then run gen install {path.stem} --force"
    site_lock = lock.parse(content, str(home / path), paths.installed_files, fix)
    if paths.installed_lock(site_lock.site) != path:
        raise GenError(f"{home / path}: is the record of another site, {site_lock.site}; {fix}")
    return site_lock


def home_record(home: Path) -> HomeRecord:
    """Return the record that belongs to all sites."""
    name = str(home / paths.INSTALL_RECORD)
    # The paths come from a file that another program may have written. gen deletes directories and
    # files by them, so each has to be one that gen itself chose.
    refuse_others(home / paths.INSTALL_RECORD)
    # The state directory may be a link to another disk, hence not fenced.
    file = reader.actual(home, [paths.INSTALL_RECORD], fenced=False).get(paths.INSTALL_RECORD)
    if file is None:
        return HomeRecord()
    fix = f"delete it with rm {name}"
    record = codec.load(HomeRecord, file.content, name, fix)
    for directory in record.directories:
        if directory not in known_directories():
            raise GenError(
                f"{name}: directories: gen never creates {directory[:_LONGEST_PATH]!a}; {fix}"
            )
    for site, changes in record.optional_changes.items():
        for path in _unknown_paths(site, changes):
            raise GenError(
                f"{name}: optional_changes.{site}: gen never writes {path[:_LONGEST_PATH]!a}; {fix}"
            )
    return record


def encoded(record: HomeRecord) -> bytes:
    """Return the bytes of the record."""
    return codec.dump(record)


def known_directories() -> set[str]:
    """Return every directory, relative to the home directory, that gen may create."""
    files = [paths.INSTALL_RECORD, paths.HOME_BACKUPS / "any"]
    files += paths.installed_files("any") + paths.systemd_traces("any")
    directories: set[str] = set()
    for file in files:
        directories.update(map(str, file.parents))
    return directories - {"."}


def _unknown_paths(site: str, changes: OptionalChanges) -> list[str]:
    """Return the paths that `gen install` never changes for its optional steps."""
    unknown: list[str] = []
    if changes.windows and not _ends_with(changes.windows.path, f".ssh/gen.d/{site}.conf"):
        unknown.append(changes.windows.path)
    for link in changes.links:
        path = PurePosixPath(link.path)
        if path.parent != paths.LOCAL_PROGRAMS or not re.fullmatch(r"[\w.+-]+", path.name):
            unknown.append(link.path)
    for key in changes.authorized_keys:
        if not key.is_from(site):
            unknown.append(key.line)
    if changes.settings and not _ends_with(changes.settings.path, "Code/User/settings.json"):
        unknown.append(changes.settings.path)
    return unknown


def _ends_with(path: str, end: str) -> bool:
    return ".." not in PurePosixPath(path).parts and path.endswith(f"/{end}")
