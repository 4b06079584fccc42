"""The identifiers of the credentials that gen creates: `PREFIX-HOST-FOLDER-app-TIME-RANDOM`.

HOST tells a user in the provider's list where a pair is used. FOLDER stands for the directory of
the credentials file, by its number in the file system: machines that share a home directory see the
same number, and a copy of the directory has another one. So gen knows a pair of another machine,
which it must not delete.
"""

import os
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

_IDENTIFIER = re.compile(r".+-([0-9a-f]{8})-(?:app|api)-\d{14}-[0-9a-f]{6}")
_LONGEST_HOST = 30


def new_identifiers(prefix: str, directory: Path, second: int) -> tuple[str, str]:
    """Return identifiers for a new app password and a new API token."""
    # A second machine of the user may rotate in the same second.
    suffix = f"{datetime.fromtimestamp(second, UTC):%Y%m%d%H%M%S}-{secrets.token_hex(3)}"
    pair = f"{prefix}-{_host()}-{_mark(directory)}"
    return f"{pair}-app-{suffix}", f"{pair}-api-{suffix}"


def of_other_folders(identifiers: Iterable[str], directory: Path) -> list[str]:
    """Return the identifiers that name another directory than this one."""
    foreign = []
    for identifier in identifiers:
        named = _IDENTIFIER.fullmatch(identifier)
        # One without a name is of an earlier gen, of dagster-slurm, or of the user.
        if named and named[1] != _mark(directory):
            foreign.append(identifier)
    return foreign


def _host() -> str:
    # authentik takes an identifier of letters, digits and hyphens (a slug of Django).
    host = re.sub("[^a-z0-9]+", "-", os.uname().nodename.partition(".")[0].lower())
    return host[:_LONGEST_HOST].strip("-") or "machine"


def _mark(directory: Path) -> str:
    return sha256(str(directory.stat().st_ino).encode()).hexdigest()[:8]
