"""Fetch the files of a source: bounded in size and time, and by https alone."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from generator import files, programs
from generator.clock import Deadline
from generator.errors import GenError, os_errors_named
from generator.loading.yaml_document import LARGEST as LARGEST_SPEC
from generator.sources import published_index, signature
from generator.sources.origin import Directory, Origin, Repository, Web

if TYPE_CHECKING:
    from generator.renewal.http import Http

_SECONDS = 120.0
_LARGEST = {
    published_index.FILE: published_index.LARGEST,
    published_index.SIGNATURE_FILE: signature.LARGEST,
}
_LARGEST_LIST = 1024 * 1024
# Of what git writes, in blocks of 512 bytes (sh(1), `ulimit -f`): 64 MiB.
_GIT_BLOCKS = 131_072
_GIT_SECONDS = 100
# git has a file below the threshold in memory as a whole, however small its pack is.
_GIT = (*programs.GIT, "-c", "core.bigFileThreshold=1m")
# git sets these for its hooks (`git rev-parse --local-env-vars`), and they win over `git -C`.
_OF_A_REPOSITORY = (
    "GIT_DIR",
    "GIT_COMMON_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_SHALLOW_FILE",
)


class Download(Protocol):
    """The files of a source at one moment."""

    def read(self, name: str) -> bytes:
        """Return the content of a file, given by its name in the directory of the index."""


@contextmanager
def opened(origin: Origin, bundle: Path | None = None) -> Iterator[Download]:
    """Open a source to read its files, all within one time limit.

    `bundle` holds the CAs to trust for https.
    """
    if isinstance(origin, Directory):
        yield _DirectoryDownload(origin.path)
    elif isinstance(origin, Web):
        # It takes a while to import.
        from generator.renewal.http import connected

        with connected(bundle, Deadline(_SECONDS)) as http:
            yield _WebDownload(http, origin.address)
    else:
        with tempfile.TemporaryDirectory(prefix="gen-") as directory:
            yield _fetched_repository(origin, Path(directory), bundle)


class _DirectoryDownload:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, name: str) -> bytes:
        path = self.directory / name
        with os_errors_named(path):
            return files.read_regular(path, _limit(name))


class _WebDownload:
    def __init__(self, http: "Http", address: str) -> None:
        self.http = http
        self.address = address

    def read(self, name: str) -> bytes:
        return self.http.download(self.address + name, _limit(name))


class _RepositoryDownload:
    def __init__(self, repository: Path, subdirectory: str, origin: str) -> None:
        self.repository = repository
        self.subdirectory = subdirectory
        self.origin = origin

    def read(self, name: str) -> bytes:
        # FETCH_HEAD is the commit that was fetched, whatever the branch is called here.
        path = f"{self.subdirectory}/{name}".lstrip("/")
        command = ["git", "-C", str(self.repository), "cat-file", "blob", f"FETCH_HEAD:{path}"]
        outcome = programs.run(
            command,
            seconds=_GIT_SECONDS,
            environment=_environment(None),
            output_limit=_limit(name),
        )
        if outcome.status != 0:
            raise GenError(f"{self.origin}: has no file {path} at this revision")
        return outcome.stdout


class KeyLists:
    """The known_hosts lists that specs name: by https alone, whatever the source is."""

    def __init__(self, bundle: Path | None) -> None:
        self.bundle = bundle
        # One limit for all of them: a source may have hundreds.
        self.deadline = Deadline(_SECONDS)
        self.fetched: dict[str, bytes] = {}

    def read(self, address: str) -> bytes:
        """Return a list; several specs may name the same."""
        from generator.renewal.http import connected

        if address not in self.fetched:
            with connected(self.bundle, self.deadline) as http:
                self.fetched[address] = http.download(address, _LARGEST_LIST)
        return self.fetched[address]


def _fetched_repository(origin: Repository, directory: Path, bundle: Path | None) -> Download:
    # Without a work tree, nothing of the repository is checked out or run.
    repository = directory / "source.git"
    _git(None, "init", "--quiet", "--bare", "--template=", str(repository))
    # Only objects come over: the hooks and settings of a repository stay where they are.
    fetch = ["fetch", "--quiet", "--depth=1", "--no-tags", "--end-of-options"]
    _git(bundle, "-C", str(repository), *fetch, origin.address, origin.revision)
    return _RepositoryDownload(repository, origin.subdirectory, origin.address)


def _git(bundle: Path | None, *arguments: str) -> None:
    """Run git with a limit for the files that it writes, and without a question to the user."""
    # `$0` and `$@`: no text of an origin becomes a part of the script.
    limited = ["sh", "-c", 'ulimit -f "$0" && exec "$@"', str(_GIT_BLOCKS)]
    outcome = programs.run(
        [*limited, *_GIT, *arguments],
        seconds=_GIT_SECONDS,
        environment=_environment(bundle),
    )
    if outcome.status != 0:
        raise GenError(f"git: {outcome.message}")


def _environment(bundle: Path | None) -> dict[str, str]:
    """Return the environment for git; `bundle` holds the CAs to trust."""
    environment = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    for name in _OF_A_REPOSITORY:
        environment.pop(name, None)
    # A redirect may lead to https only (git(1)).
    environment["GIT_ALLOW_PROTOCOL"] = "https"
    if bundle:
        # Unlike the setting http.sslCAInfo, it wins over a variable of the user.
        environment["GIT_SSL_CAINFO"] = str(bundle.absolute())
    return environment


def _limit(name: str) -> int:
    return _LARGEST.get(name, LARGEST_SPEC)
