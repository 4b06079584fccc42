"""Files of a git repository at a revision. Nothing here changes the repository, or runs what it configures."""

import os
import subprocess

from generator.errors import GenError


def commit(revision: str) -> str:
    """Return the commit that a revision names.

    Raises:
        GenError: there is none, or this is no repository.
    """
    result = _run("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if result.returncode == 0:
        return result.stdout.decode().strip()
    if b"not a git repository" in result.stderr:
        raise GenError("gen review compares revisions of a git repository, and this folder is in none")
    raise GenError(f"{revision}: no such revision here; git fetch it first (in CI, with the whole history)")


def top() -> str:
    """Return the folder that the whole work tree is in."""
    return _run("rev-parse", "--show-toplevel").stdout.decode(errors="surrogateescape").removesuffix("\n")


def fork(base: str, head: str) -> str:
    """Return the commit at which two parted, which is what a pull request starts from; `base` where they have none."""
    result = _run("merge-base", base, head)
    return result.stdout.decode().strip() if result.returncode == 0 else base


def files(revision: str, folder: str) -> dict[str, bytes]:
    """Return the specs right below a folder at a commit, by their paths from here."""
    listed = _run("ls-tree", "-z", "--name-only", revision, "--", f"{folder}/").stdout.decode(errors="surrogateescape")
    names = [name for name in listed.split("\0") if name.endswith(".yaml")]
    return {name: _run("cat-file", "blob", f"{revision}:./{name}").stdout for name in names}


def _run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C"}  # its messages are read above
    try:
        return subprocess.run(["git", *arguments], env=environment, capture_output=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise GenError("git: not found; gen review reads the specs from it") from None
