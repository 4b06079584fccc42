"""What was put into a home folder: a lock for each site, as in an output folder, and what belongs to no site alone."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from generator.errors import GenError
from generator.loading.catalogue import INSTALLED
from generator.workspace import lock, reader
from generator.workspace.lock import Lock

STATE = PurePosixPath(".local/state/gen")
BACKUP = STATE / "backup"
BUSY = STATE / "install/busy"
"""Held while the home folder is changed."""
SHARED = STATE / "install/home.json"
UNITS = PurePosixPath(".config/systemd/user")


@dataclass(frozen=True)
class Shared:
    """What uninstalling the last site needs to know, to leave the home folder as it was."""

    folders: tuple[str, ...] = ()
    """Folders that were not there before."""
    created: bool = False
    """There was no ssh config."""
    undo: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What takes back that which was agreed to beside the files of a site."""


def path(site: str) -> PurePosixPath:
    """Return where the lock of an installed site lies below the home folder."""
    return STATE / "install" / f"{site}.lock"


def conf(site: str) -> PurePosixPath:
    """Return where the ssh configuration of a site is installed."""
    return PurePosixPath(f".ssh/gen.d/{site}.conf")


def agent(site: str) -> PurePosixPath:
    """Return where the launchd agent of a site is installed."""
    return PurePosixPath(f"Library/LaunchAgents/gen-cert-{site}.plist")


def renewals(site: str) -> list[PurePosixPath]:
    """Return what `gen refresh` remembers of a site."""
    return [STATE / f"{site}.{ending}" for ending in ("json", "due", "lock")]


def places(site: str) -> list[str]:
    """Return every file that may be installed for a site."""
    units = [UNITS / f"gen-cert-{site}.{ending}" for ending in ("service", "timer")]
    ours = [conf(site), conf(site).with_suffix(".known_hosts"), *units, agent(site)]
    return [str(place) for place in (*ours, INSTALLED / f"{site}.yaml")]


def installed(home: Path) -> dict[str, Lock]:
    """Return the sites that are installed, each with what was installed, and from what.

    Raises:
        GenError: a record cannot be read, or is none that gen wrote.
    """
    found = sorted((home / STATE / "install").glob("*.lock"))
    content = reader.actual(home, [path(file.stem) for file in found], fenced=False)
    return {where.stem: _lock(actual.content, where, home) for where, actual in content.items()}


def _lock(content: bytes, where: PurePosixPath, home: Path) -> Lock:
    was = lock.parse(content, str(home / where), places)
    if path(was.site) != where:
        raise GenError(f"{home / where}: is the record of another site, {was.site}")
    return was


def shared(home: Path) -> Shared:
    """Return what belongs to no site alone.

    Raises:
        GenError: the record cannot be read, or is none that gen wrote.
    """
    found = reader.actual(home, [SHARED], fenced=False).get(SHARED)
    if found is None:
        return Shared()
    try:
        record = json.loads(found.content)
        folders = tuple(_relative(folder) for folder in record["folders"])
        return Shared(folders, bool(record["created"]), dict(record["undo"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise GenError(f"{home / SHARED}: is no record that gen wrote; remove it") from None


def _relative(text: str) -> str:
    if (
        not isinstance(text, str)
        or PurePosixPath(text).is_absolute()
        or ".." in PurePosixPath(text).parts
    ):
        raise ValueError(text)
    return text


def encoded(record: Shared) -> bytes:
    """Return the bytes of the record."""
    return (json.dumps(asdict(record), indent=2, sort_keys=True) + "\n").encode()
