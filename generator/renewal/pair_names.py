"""The identifiers of the credentials that gen creates: `PREFIX-HOST-FOLDER-app-TIME-RANDOM`.

HOST shows a user in the provider's list where a pair is used. FOLDER is the name of the directory
with the credentials file, so gen knows a pair of another machine, which it must not delete. The
name is in a file beside the credentials, with the number of the directory in its file system:
machines that share a home directory see the same number, and a copy of the directory has another.
"""

import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from generator import codec
from generator.errors import GenError, os_errors_named
from generator.files import read_regular, refuse_others
from generator.workspace import writer

NAME_FILE = ".gen-folder"
_NAME = re.compile("[0-9a-f]{8}")
_IDENTIFIER = re.compile(rf".+-({_NAME.pattern})-(?:app|api)-\d{{14}}-[0-9a-f]{{6}}")
_LONGEST_HOST = 30


@dataclass(frozen=True)
class _Folder:
    name: str
    number: int
    """Of the directory itself (st_ino in stat(2))."""


def new_identifiers(prefix: str, directory: Path, second: int) -> tuple[str, str]:
    """Return identifiers for a new app password and a new API token."""
    name = _name(directory) or _new_name(directory)
    # A second machine of the user may rotate in the same second.
    suffix = f"{datetime.fromtimestamp(second, UTC):%Y%m%d%H%M%S}-{secrets.token_hex(3)}"
    pair = f"{prefix}-{_host()}-{name}"
    return f"{pair}-app-{suffix}", f"{pair}-api-{suffix}"


def of_other_folders(identifiers: Iterable[str], directory: Path) -> list[str]:
    """Return the identifiers that name another directory than this one."""
    foreign = []
    for identifier in identifiers:
        named = _IDENTIFIER.fullmatch(identifier)
        # One without a name is of an earlier gen, of dagster-slurm, or of the user.
        if named and named[1] != _name(directory):
            foreign.append(identifier)
    return foreign


def is_name_file(content: bytes) -> bool:
    """Return whether gen wrote a file that names a directory."""
    return _folder(content) is not None


def _host() -> str:
    # authentik takes an identifier of letters, digits and hyphens (a slug of Django).
    host = re.sub("[^a-z0-9]+", "-", os.uname().nodename.partition(".")[0].lower())
    return host[:_LONGEST_HOST].strip("-") or "machine"


def _name(directory: Path) -> str | None:
    """Return the name of a directory; ``None`` if it has none, or has that of another one."""
    path = directory / NAME_FILE
    refuse_others(path)
    with os_errors_named(path):
        try:
            folder = _folder(read_regular(path))
        except FileNotFoundError:
            return None
        if folder and folder.number == directory.stat().st_ino:
            return folder.name
        return None


def _new_name(directory: Path) -> str:
    path = directory / NAME_FILE
    with os_errors_named(path):
        writer.make_private_directories([directory])
        folder = _Folder(secrets.token_hex(4), directory.stat().st_ino)
        writer.write_private(path, codec.dump(folder), 0o600)
    return folder.name


def _folder(content: bytes) -> _Folder | None:
    try:
        folder = codec.load(_Folder, content, NAME_FILE)
    except GenError:
        return None
    return folder if _NAME.fullmatch(folder.name) else None
