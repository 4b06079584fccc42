"""What was put into a home folder: a lock for each site, as in an output folder, and what belongs to no site alone."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from generator import paths
from generator.errors import GenError
from generator.workspace import lock, reader
from generator.workspace.lock import Lock


@dataclass(frozen=True)
class Shared:
    """What uninstalling the last site needs to know, to leave the home folder as it was."""

    folders: tuple[str, ...] = ()
    """Folders that were not there before."""
    created: bool = False
    """There was no ssh config."""
    undo: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What takes back that which was agreed to beside the files of a site."""


def installed(home: Path) -> dict[str, Lock]:
    """Return the sites that are installed, each with what was installed, and from what.

    Raises:
        GenError: a record cannot be read, or is none that gen wrote.
    """
    found = sorted((home / paths.INSTALL_RECORDS).glob("*.lock"))
    content = reader.actual(home, [paths.installed_lock(file.stem) for file in found], fenced=False)
    return {where.stem: _lock(actual.content, where, home) for where, actual in content.items()}


def _lock(content: bytes, where: PurePosixPath, home: Path) -> Lock:
    name = str(home / where)
    fix = f"delete this file, then run gen install {where.stem} --force"
    was = lock.parse(content, name, paths.installed_files, fix)
    if paths.installed_lock(was.site) != where:
        raise GenError(f"{home / where}: is the record of another site, {was.site}")
    return was


def shared(home: Path) -> Shared:
    """Return what belongs to no site alone.

    Raises:
        GenError: the record cannot be read, or is none that gen wrote.
    """
    found = reader.actual(home, [paths.INSTALL_RECORD], fenced=False).get(paths.INSTALL_RECORD)
    if found is None:
        return Shared()
    try:
        record = json.loads(found.content)
        folders = tuple(_relative(folder) for folder in record["folders"])
        return Shared(folders, bool(record["created"]), dict(record["undo"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise GenError(
            f"{home / paths.INSTALL_RECORD}: is no record that gen wrote; remove it"
        ) from None


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
