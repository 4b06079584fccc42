"""The specs of the sources that a user added: `sources.lock`, and `sources` beside it.

One such pair is the user's own, below `~/.config/gen`; a repository may have another below `.gen`.
The lock names the version of each source that is in use, and the digest of each of its specs. To
replace the lock is the single step that changes a source: until then the files of a new version
are not read, and afterwards those of the old one are not.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from generator import files, paths
from generator.errors import GenError, os_errors_named
from generator.schema.names import SLUG

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Versions grow by one. A larger one would leave no room for the next, and names a directory.
_MOST_VERSIONS = 10**9


@dataclass(frozen=True)
class PublishedSpec:
    """A spec of a source, as its index and the record of the user have it."""

    sha256: str
    version: int
    """Grows with each change of the spec."""


@dataclass(frozen=True)
class AddedSource:
    """A source as it was added or last updated."""

    origin: str
    """Its address, or its directory."""
    version: int
    expires: str
    """Last day of the index, as `YYYY-MM-DD`."""
    keys: tuple[str, ...]
    """Public keys (`TYPE BASE64`) that may sign the next version."""
    revoked: tuple[str, ...]
    """Fingerprints of keys that may not."""
    specs: Mapping[str, PublishedSpec]
    """By the name of the site."""
    with_lists: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each spec as it is kept here, if keys of a known_hosts list were added to it."""

    @property
    def last_day(self) -> date:
        """Last day of the index."""
        return date.fromisoformat(self.expires)

    def digest(self, site: str) -> str:
        """Return the SHA-256 of a spec as it is kept here."""
        return self.with_lists.get(site, self.specs[site].sha256)


@dataclass(frozen=True)
class Record:
    """The content of `sources.lock`."""

    sources: Mapping[str, AddedSource] = field(default_factory=dict)

    def sites(self) -> Iterator["SourcedSpec"]:
        """Yield every site of every source."""
        for name, source in self.sources.items():
            for site in source.specs:
                yield SourcedSpec(name, site)

    def path(self, sourced: "SourcedSpec") -> PurePosixPath:
        """Return the path of a spec beside the record, which must have it."""
        version = self.sources[sourced.source].version
        return paths.sourced_spec(sourced.source, version, sourced.site)


class SourcedSpec(NamedTuple):
    """A site of a source."""

    source: str
    site: str

    def __str__(self) -> str:
        return f"source:{self.source}/{self.site}"


@dataclass(frozen=True)
class SourceStore:
    """A directory with `sources.lock` and `sources`."""

    directory: Path

    @property
    def lock(self) -> Path:
        """The path of the record."""
        return self.directory / paths.SOURCES_LOCK

    @property
    def is_users(self) -> bool:
        """Whether it is the user's own, and not that of a repository."""
        return self.directory.is_absolute()

    @cached_property
    def record(self) -> Record:
        """The sources; none if nothing was added."""
        try:
            content = files.read_regular(self.lock)
        except (FileNotFoundError, NotADirectoryError):
            return Record()
        except OSError:
            with os_errors_named(self.lock):
                raise
        if self.is_users:
            files.refuse_others(self.lock)
        return parse(content, str(self.lock))

    def path(self, sourced: SourcedSpec) -> Path:
        """Return the path of a spec; the record must have it."""
        return self.directory / self.record.path(sourced)

    def content(self, sourced: SourcedSpec) -> bytes:
        """Return the content of a spec; refuse one that differs from the spec that was added."""
        path = self.path(sourced)
        with os_errors_named(path):
            try:
                content = files.read_regular(path)
            except FileNotFoundError:
                # Whoever takes a new version into use deletes the old one.
                if SourceStore(self.directory).record != self.record:
                    raise changed_meanwhile(sourced.source) from None
                raise
        source = self.record.sources[sourced.source]
        if sha256(content).hexdigest() != source.digest(sourced.site):
            raise GenError(
                f"{path}: is not the spec that the source {sourced.source} published; to fetch it"
                f" again: gen source remove {sourced.source} && gen source add"
                f" {shlex.quote(source.origin)}"
            )
        return content


def changed_meanwhile(source: str) -> GenError:
    """Return the error for a source whose record changed since it was read."""
    return GenError(f"{source}: was changed by another gen meanwhile; try again")


def stores() -> list[SourceStore]:
    """Return the store of the current directory's repository, and that of the user."""
    by_precedence = [SourceStore(Path(paths.OUTPUT_STATE))]
    with suppress(RuntimeError):  # HOME is unset, and the user has no entry in passwd
        by_precedence.append(SourceStore(Path.home() / paths.USER_SOURCES))
    return by_precedence


def sites() -> dict[str, Path]:
    """Return the spec of every site of every source, by name; the repository's come first."""
    by_name: dict[str, Path] = {}
    for store in stores():
        for sourced in store.record.sites():
            by_name.setdefault(sourced.site, store.path(sourced))
    return by_name


def read(sourced: SourcedSpec) -> tuple[Path, bytes] | None:
    """Return the path and the content of a spec in use, ``None`` if its source was not added."""
    for store in stores():
        if sourced in store.record.sites():
            return store.path(sourced), store.content(sourced)
    return None


def by_path() -> dict[Path, str]:
    """Return the name of the source of each spec that `sites` returns."""
    names: dict[Path, str] = {}
    for store in stores():
        for sourced in store.record.sites():
            names[store.path(sourced)] = sourced.source
    return names


def at(path: Path) -> tuple[SourceStore, SourcedSpec] | None:
    """Return the source that a path of a spec belongs to, if it belongs to one."""
    real_path = path.resolve()
    for store in stores():
        for sourced in store.record.sites():
            if sourced.site == path.stem and store.path(sourced).resolve() == real_path:
                return store, sourced
    return None


def parse(content: bytes, name: str) -> Record:
    """Return the record in a file, without sources if it is empty.

    Values that gen never writes are refused: that of a repository comes from anybody.
    """
    if not content:
        return Record()
    conflict = files.conflict_line(content)
    if conflict:
        raise GenError(f"{name}:{conflict}: has a merge conflict; keep one side of it")
    # Most users have no source, and every command looks for one.
    from generator import codec

    record = codec.load(Record, content, name, f"restore it with git checkout {shlex.quote(name)}")
    for source_name, source in record.sources.items():
        fault = _fault(source_name, source)
        if fault:
            raise GenError(f"{name}: sources.{source_name[:100]!a}: {fault}")
    return record


def _fault(name: str, source: AddedSource) -> str | None:
    from generator.ssh.keys import is_key_alone

    if not re.fullmatch(SLUG, name):
        return "is not the name of a source"
    # Reports print these values.
    if not source.origin.isprintable():
        return "origin: holds a character that cannot be printed"
    for key in source.keys:
        if not is_key_alone(key):
            return f"keys: {key[:100]!a} is not a public key"
    if not source.keys:
        return "keys: has no key, so nobody could sign the next version"
    fault = revocation_fault(source.revoked)
    if fault:
        return fault
    for site, digest in source.with_lists.items():
        if site not in source.specs or not _DIGEST.fullmatch(digest):
            return f"with_lists: {site[:100]!a} has no valid digest, or is not a site of the source"
    return version_fault(source.version, source.expires, source.specs)


def revocation_fault(revoked: Iterable[str]) -> str | None:
    """Return a message about the first value that is not a fingerprint; ``None`` without one."""
    for value in revoked:
        if not _FINGERPRINT.fullmatch(value):
            return f"revoked: {value[:100]!a} is not a fingerprint"
    return None


def version_fault(version: int, expires: str, specs: Mapping[str, PublishedSpec]) -> str | None:
    """Return the value of a version of a source that gen never writes, if there is one."""
    # All versions only grow, so that 0 can stand for nothing that was published.
    if version < 1:
        return "version: is less than 1"
    if version > _MOST_VERSIONS:
        return f"version: is more than {_MOST_VERSIONS}"
    try:
        date.fromisoformat(expires)
    except ValueError:
        return "expires: is not a date, as in 2027-01-31"
    if not _DAY.fullmatch(expires):  # Python takes other forms too
        return "expires: is not a date, as in 2027-01-31"
    for site, spec in specs.items():
        # The name becomes a file name: it must lead nowhere else.
        if not re.fullmatch(SLUG, site):
            return f"specs: {site[:100]!a} is not the name of a site"
        if not 1 <= spec.version <= _MOST_VERSIONS or not _DIGEST.fullmatch(spec.sha256):
            return f"specs.{site}: has no valid version or digest"
    return None
