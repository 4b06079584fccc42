"""Where a source is: a directory, a web address, or a directory of a git repository."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from generator.errors import GenError

_GIT = "git+"
_SHAPES = (
    "write https://HOST/PATH, git+https://HOST/PATH@REVISION#subdirectory=DIR,"
    " or the path of a directory"
)
# A revision becomes an argument of git: no leading hyphen, and no wildcard of a refspec.
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_SUBDIRECTORY = re.compile(r"subdirectory=([A-Za-z0-9._/-]{1,200})")


@dataclass(frozen=True)
class Web:
    """A directory on a web server; its address ends in a slash."""

    address: str


@dataclass(frozen=True)
class Repository:
    """A directory of a git repository at a revision."""

    address: str
    revision: str
    subdirectory: str
    """Empty for the top."""


@dataclass(frozen=True)
class Directory:
    """A directory of this machine."""

    path: Path


Origin = Web | Repository | Directory


def parse(text: str) -> Origin:
    """Return the origin that a user, or a record, names."""
    if not text or not text.isprintable():
        raise GenError(f"{text[:200]!r}: is not a source; {_SHAPES}")
    if text.startswith(_GIT):
        return _repository(text)
    if "://" not in text:
        return Directory(Path(text))
    _check_address(text, text)
    return Web(text if text.endswith("/") else f"{text}/")


def canonical(text: str) -> str:
    """Return the text of an origin for the record: a path is absolute there."""
    origin = parse(text)
    return str(origin.path.absolute()) if isinstance(origin, Directory) else text


def _repository(text: str) -> Repository:
    whole_address, _, fragment = text.removeprefix(_GIT).partition("#")
    # The last @, since the address may name a user.
    address, separator, revision = whole_address.rpartition("@")
    if not separator or "/" not in address.partition("://")[2]:
        raise GenError(f"{text}: names no revision; add @main, a tag or a commit")
    _check_address(address, text)
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise GenError(f"{text}: {revision!r} is not a branch, tag or commit")
    subdirectory = ""
    if fragment:
        match = _SUBDIRECTORY.fullmatch(fragment)
        if not match or ".." in match[1].split("/"):
            raise GenError(f"{text}: write #subdirectory=DIR behind the revision")
        subdirectory = match[1].strip("/")
    return Repository(address, revision, subdirectory)


def _check_address(address: str, text: str) -> None:
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        host = None
        parts = urlsplit("")
    if parts.scheme != "https" or not host:
        raise GenError(f"{text}: is not an https address; {_SHAPES}")
    # It is recorded, printed and, in a repository, committed.
    if parts.password is not None:
        raise GenError(f"{parts.scheme}://{host}: holds a password; remove it from the address")
    if parts.query or parts.fragment:
        raise GenError(f"{text}: has a query or a fragment; name the directory of the index alone")
