"""Files of a git repository at a revision. Nothing here changes the repository, or runs what it configures."""

import subprocess

from generator.errors import GenError


def commit(revision: str) -> str:
    """Return the commit that a revision names.

    Raises:
        GenError: there is none, or this is no repository.
    """
    return _git(
        f"{revision}: no such revision here", "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"
    )


def fork(base: str, head: str) -> str:
    """Return the commit at which two parted, which is what a pull request starts from; `base` where they have none."""
    result = _run("merge-base", base, head)
    return result.stdout.decode().strip() if result.returncode == 0 else base


def files(revision: str, folder: str) -> dict[str, bytes]:
    """Return the files right below a folder at a commit, by their paths from here."""
    listed = _git(f"{folder}: cannot be listed", "ls-tree", "-z", "--name-only", revision, "--", f"{folder}/")
    names = [name for name in listed.split("\0") if name.endswith(".yaml")]
    return {name: _run("cat-file", "blob", f"{revision}:./{name}").stdout for name in names}


def _git(problem: str, *arguments: str) -> str:
    result = _run(*arguments)
    if result.returncode:
        raise GenError(f"{problem} ({result.stderr.decode(errors='replace').strip().splitlines()[-1]})")
    return result.stdout.decode(errors="surrogateescape").strip()


def _run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=False)  # noqa: S603, S607 - git's own words
    except FileNotFoundError:
        raise GenError("git: not found; gen review reads the specs from it") from None
