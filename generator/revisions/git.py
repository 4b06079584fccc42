"""Files of a git repository at a revision. Nothing here changes the repository, or runs what it configures."""

import os
from pathlib import PurePosixPath

from generator import programs
from generator.errors import GenError
from generator.paths import LOCKS

_SECONDS = 120
_OUTPUT_LIMIT = 64 * programs.OUTPUT_LIMIT
"""A revision may have very many files, of which git lists the paths."""


def commit(revision: str) -> str:
    """Return the commit that a revision names.

    Raises:
        GenError: there is none, or this is no repository.
    """
    result = _run("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if result.status == 0:
        return result.stdout.decode().strip()
    if b"not a git repository" in result.stderr:
        raise GenError(
            "gen review compares revisions of a git repository, and this folder is in none"
        )
    raise GenError(
        f"{revision}: no such revision here; git fetch it first (in CI, with the whole history)"
    )


def top() -> str:
    """Return the folder that the whole work tree is in."""
    return (
        _run("rev-parse", "--show-toplevel")
        .stdout.decode(errors="surrogateescape")
        .removesuffix("\n")
    )


def fork(base: str, head: str) -> str:
    """Return the commit at which two parted, which is what a pull request starts from; `base` where they have none."""
    result = _run("merge-base", base, head)
    return result.stdout.decode().strip() if result.status == 0 else base


def specs(revision: str, folder: str) -> dict[str, bytes]:
    """Return the specs right below a folder at a commit, by their paths from here."""
    listed = _listed(revision, "--", f"{folder}/")
    return {name: blob(revision, name) or b"" for name in listed if name.endswith(".yaml")}


def locks(revision: str) -> dict[str, bytes]:
    """Return every lock at a commit, here and below, by their paths from here."""
    listed = [name for name in _listed(revision, "-r") if PurePosixPath(name).match(str(LOCKS))]
    return {name: blob(revision, name) or b"" for name in listed}


def blob(revision: str, path: str) -> bytes | None:
    """Return a file at a commit, if it was there; its path is from here."""
    result = _run("cat-file", "blob", f"{revision}:./{path}")
    return result.stdout if result.status == 0 else None


def _listed(revision: str, *arguments: str) -> list[str]:
    listed = _run("ls-tree", "-z", "--name-only", revision, *arguments).stdout.decode(
        errors="surrogateescape"
    )
    return listed.split("\0")


def _run(*arguments: str) -> programs.Outcome:
    # gen reads git's messages, and must not fetch the files that a partial clone lacks.
    environment = {**os.environ, "LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1"}
    return programs.run(
        ["git", *arguments],
        seconds=_SECONDS,
        environment=environment,
        output_limit=_OUTPUT_LIMIT,
    )
